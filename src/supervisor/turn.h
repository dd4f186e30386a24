/*
 * turn: one turn of the supervisor's loop, the same while it serves and while it ends:
 * what has come is acted on, who has ended is reaped. What the turn is a part of, and
 * whether there is another, is decided by supervisor.c and ending.c.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SUPERVISOR_TURN_H
#define SUPERVISOR_TURN_H

#include <stdint.h>

#include "supervisor/supervisor_state.h"

/* Waits until NEXT_MS (CLOCK_MONOTONIC), a signal, the power key, a host that is being
 * told of us, or a watchdog; acts on all that has come, and reaps. */
void supervisor_turn(struct supervisor *supervisor, uint64_t next_ms);

#endif
