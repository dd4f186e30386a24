/*
 * relay_state: what the relay's two halves share: relay.c moves the bytes,
 * relay_end.c knows when it is over. Times are of CLOCK_MONOTONIC, in ms.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SESSION_RUN_RELAY_STATE_H
#define SESSION_RUN_RELAY_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "session/run/input.h"
#include "session/run/relay.h"

#define RELAY_SOURCES 2

struct relay_source {
	int fd;	      /* -1: at its end */
	int ended_fd; /* the same, to be closed when the session is over; -1 */
	uint8_t type;
	size_t left; /* once cut: bytes still to be sent */
};

enum relay_phase {
	RELAY_RUNNING,
	RELAY_DRAINING,
	RELAY_CUT
};

struct relay {
	const struct relay_options *options;
	struct conn *conn;
	struct process_tree *tree;
	struct input input;
	struct relay_source sources[RELAY_SOURCES];
	int tty_slave_fd;
	enum relay_phase phase;
	struct relay_end end;
	struct io_lack lack; /* of memory to read the program's output */
	uint64_t term_at_ms; /* the timeout */
	uint64_t kill_at_ms; /* SIGKILL to the group */
	uint64_t kill_again_ms;
	uint64_t kill_until_ms;
	uint64_t stuck_at_ms; /* the main process is given up */
	bool is_watching;     /* what becomes of children wakes us */
	uint64_t watch_at_ms; /* when that begins */
	uint64_t look_at_ms;  /* for what is left of the group, when both ends are gone */
	uint64_t quiet_since_ms;
	uint64_t drain_end_ms;
};

/* Notes why the session ends; the first reason stands. */
void relay_set_reason(struct relay *relay, enum relay_reason reason);

/* A stream of the program's fails with ERROR, a value of errno: what was on it is lost,
 * and an end as if all were well would hide that. Kills the session. */
void relay_break(struct relay *relay, int error, uint64_t now);

/* Kills everything the session started. */
void relay_kill(struct relay *relay, uint64_t now);

/* The host has gone. */
void relay_lose_host(struct relay *relay, uint64_t now);

/* The pidfd has shown something: the main process may have ended. */
void relay_see_end(struct relay *relay, uint64_t now);

/* Whether an output of the program is still open. */
bool relay_has_output(const struct relay *relay);

/* Does what was due at NOW, and says when the next thing is (CLOCK_NEVER: none). */
void relay_meet_deadlines(struct relay *relay, uint64_t now);
uint64_t relay_next_deadline(const struct relay *relay);

#endif
