/*
 * released: the supervisor's care for detached programs, whose parent it is now:
 * nobody else may signal them, as nobody else knows that a number is still
 * theirs. What the list says is believed only of unreaped children of our own
 * that are no workers.
 */
#ifndef SUPERVISOR_RELEASED_H
#define SUPERVISOR_RELEASED_H

#include <sys/types.h>

#include "supervisor/pool.h"

/* Our child PID has ended and is about to be reaped: strikes it off the list. */
void released_bury(struct scoreboard *board, pid_t pid);

/* Sends the signals that KILL asked for, to the process groups. */
void released_obey(struct scoreboard *board, const struct pool *pool);

/* Sends SIGNAL to all of them. */
void released_signal_all(struct scoreboard *board, const struct pool *pool, int signal);

#endif
