/*
 * attach_run: the loop of a worker that serves an attached host, until the session's end has
 * been told, the host has left, or the worker is to end.
 *
 * It waits for the host and for SIGUSR1, by which owner, other readers and supervisor say
 * that something has changed; see attachment.h.
 *
 *   - The output goes by follow.h, the input by attach_input.h.
 *   - When another takes the input, the host is told and is a spectator; where there is no
 *     place for one, it is detached.
 *   - DETACH, a half-close and a close end it once all that was sent before is the
 *     session's, or never will be. A host that can still hear is told `detached`.
 *   - Where the session was forgotten, a host that takes nothing for stall_timeout is given
 *     up.
 *   - Told to stop, it goes on for the time that the session has to end, then detaches.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SESSION_DURABLE_ATTACH_RUN_H
#define SESSION_DURABLE_ATTACH_RUN_H

#include <stdbool.h>

#include "session/durable/attach_input.h"
#include "session/durable/follow.h"

struct attach_run {
	struct follow *follow; /* borrowed, as its session and journal */
	struct attach_input input;
	bool has_host_left;    /* it sends no more */
	bool is_read_out;      /* and all that it did send was received */
	bool is_deaf;	       /* nothing can be sent to it */
	bool has_holder_place; /* that of the input's holder */
	bool is_over;
	uint64_t stop_at_ms;  /* CLOCK_NEVER: not told to */
	uint64_t stall_at_ms; /* CLOCK_NEVER: it may pause for as long as it likes */
};

/* Runs to the end. What FOLLOW has queued goes first. HAS_HOLDER_PLACE: its place is the one that
 * the session has laid by for whoever holds the input; see holder_place.h. */
void attach_run(struct follow *follow, bool has_holder_place);

#endif
