/*
 * detached_child: the supervisor's care for detached programs, whose parent it is now:
 * nobody else may signal them, as nobody else knows that a number is still
 * theirs. What the list says is believed only of unreaped children of our own
 * that are no workers.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SUPERVISOR_DETACHED_CHILD_H
#define SUPERVISOR_DETACHED_CHILD_H

#include <sys/types.h>

#include "supervisor/pool.h"

/* Our child PID has ended and is about to be reaped: if it is the main process of one
 * of them, that is listed by its cell alone from now on. */
void detached_child_bury(struct scoreboard *board, pid_t pid);

/* Strikes off the list whose main process has ended and whose cell below SESSION_CGROUPS_FD
 * (-1: no session cgroups) is empty. To be called when children were reaped: the last of a
 * cell has become our child before it ended. */
void detached_child_strike(struct scoreboard *board, int session_cgroups_fd);

/* To be called when a worker has left word, and when one has left: what it let go
 * is our child only then. Sends the signals that KILL asked for: to the process group
 * while its main process is there, else to all that is left in the cell; SIGKILL to
 * all. */
void detached_child_obey(struct scoreboard *board, struct pool *pool);

/* Sends SIGNAL to all of them. */
void detached_child_signal_all(struct scoreboard *board, struct pool *pool, int signal);

#endif
