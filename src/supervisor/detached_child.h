/*
 * detached_child: the supervisor's care for detached programs, whose parent it is now.
 * No other process may signal them, as none knows whether a number is still theirs. The
 * list is believed only where it names an unreaped child of ours that is not a worker.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SUPERVISOR_DETACHED_CHILD_H
#define SUPERVISOR_DETACHED_CHILD_H

#include <sys/types.h>

#include "supervisor/pool.h"

/* Our child PID has ended and is about to be reaped: if it is the main process of a
 * detached program, that is listed by its session cgroup alone from now on. */
void detached_child_bury(struct scoreboard *board, pid_t pid);

/* Strikes the programs off the list whose main process has ended and whose cgroup below
 * SESSION_CGROUPS_FD (-1: none) is empty. To be called when children were reaped: the last
 * process of a session cgroup became our child before it ended. */
void detached_child_strike(struct scoreboard *board, int session_cgroups_fd);

/* Sends the signals that KILL asked for: to the process group while its main process is
 * there, else to all that is left in the session cgroup; SIGKILL to all. To be called
 * when the bell has rung, and when a worker has left: only then is the program that it
 * detached our child. */
void detached_child_obey(struct scoreboard *board, struct pool *pool);

/* Sends SIGNAL to all detached programs. */
void detached_child_signal_all(struct scoreboard *board, struct pool *pool, int signal);

#endif
