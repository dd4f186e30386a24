/*
 * cut: a program whose start takes too long is ended in place of its worker: a user's
 * lease on it, or a file system that does not answer, is not its fault.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SUPERVISOR_CUT_H
#define SUPERVISOR_CUT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "shared/scoreboard.h"

/* The watchdog of the worker WORKER, whose slot is SLOT, has expired. If its session is
 * starting a program, kills the child, which wakes the worker, tells the slot, and gives
 * the worker another GRACE_MS by its timer TIMER_FD. *SESSION keeps the number of the
 * session for which that was done last: it is not done twice. Returns whether the worker
 * is to be spared. */
bool cut_start(struct slot *slot, pid_t worker, int timer_fd, uint32_t grace_ms, uint64_t *session);

#endif
