/*
 * relay_durable: what the relay does otherwise where the session is durable: its output goes
 * to a journal, its input comes from whoever holds it, and its host may go. For the parts
 * of relay alone.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SESSION_RUN_RELAY_DURABLE_H
#define SESSION_RUN_RELAY_DURABLE_H

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>

#include "session/run/relay.h"

/* Right before a wait: takes what readers have left, and looks which readers are there.
 * owner_rise() after the wait. */
void relay_durable_look(struct relay *relay);

/* What to wait for on the host's connection. */
void relay_durable_prepare(const struct relay *relay, struct pollfd *ret);

/* SHOWN on the host's connection. */
void relay_durable_read_host(struct relay *relay, short shown);

/* Sends to the host what it takes; HAS_ROOM: POLLOUT has shown. */
void relay_durable_push(struct relay *relay, bool has_room, uint64_t now);

/* The host's time to close is over. */
void relay_durable_hang_up(struct relay *relay, uint64_t now);

/* The host has taken nothing for a moment. */
void relay_durable_go_ahead(struct relay *relay, uint64_t now);

/* The output was cut: what it holds may use all of the journal's room. */
void relay_durable_drain(struct relay *relay);

/* Whether the journal has got all that it can get of an ended program. */
bool relay_durable_has_all(const struct relay *relay);

#endif
