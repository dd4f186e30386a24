/*
 * turn: one turn of the supervisor's loop, the same while it serves and while it ends:
 * it acts on what has come, and reaps the children that have ended. supervisor.c and
 * ending.c decide whether there is another turn.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SUPERVISOR_TURN_H
#define SUPERVISOR_TURN_H

#include <stdint.h>

#include "supervisor/supervisor_state.h"

/* Waits until NEXT_MS (CLOCK_MONOTONIC), a signal, the bell, the power key, a dial of
 * readiness, or a watchdog; acts on all that has come, and reaps. */
void supervisor_turn(struct supervisor *supervisor, uint64_t next_ms);

#endif
