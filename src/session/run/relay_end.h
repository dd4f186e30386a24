/*
 * relay_end: the ends of a session, and its timers; for the parts of relay alone. Their
 * rules stand in relay_end.c. NOW is of the relay's clock.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SESSION_RUN_RELAY_END_H
#define SESSION_RUN_RELAY_END_H

#include <stdint.h>

#include "session/run/relay.h"

/* Sets the timers of a session that begins. */
void relay_end_init(struct relay *relay, uint64_t now);

/* Sets one of the timers, and puts one out. */
void relay_set_timer(struct relay *relay, enum relay_timer timer, uint64_t at_ms);
void relay_stop_timer(struct relay *relay, enum relay_timer timer);

/* Why the session ends. The first reason stands. */
void relay_set_reason(struct relay *relay, enum relay_reason reason);

/* Kills everything that the session started. */
void relay_kill(struct relay *relay, uint64_t now);

/* A stream of the program fails with ERROR (-errno; 0: none does): what was on it is lost,
 * and an end as if all were well would hide that. Where the host has gone there is no one to
 * tell. */
void relay_break(struct relay *relay, int error, uint64_t now);

/* The host has gone; of a durable session, all have for long enough. */
void relay_lose_host(struct relay *relay, uint64_t now);

/* This worker was told to stop. */
void relay_shut_down(struct relay *relay, uint64_t now);

/* The pidfd has shown something: the main process may have ended. */
void relay_see_end(struct relay *relay, uint64_t now);

/* Does what is due. */
void relay_meet_timers(struct relay *relay, uint64_t now);

/* When the next turn is to begin at the latest. */
uint64_t relay_next_turn(struct relay *relay);

#endif
