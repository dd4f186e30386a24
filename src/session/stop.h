/*
 * stop: how a worker is told to end. Its signals are blocked except while it waits
 * (epoll_pwait, ppoll), so that nothing else is ever interrupted.
 *
 *   SIGHUP   leave when the session under way has ended
 *   SIGTERM  end the session now ("shutdown" is its reason), then leave
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SESSION_STOP_H
#define SESSION_STOP_H

#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

/* Blocks every signal except those that a fault raises, and installs the handlers. */
void stop_init(void);

/* The mask to wait with: SIGHUP, SIGTERM and SIGINT get through; and SIGUSR1, which
 * means nothing but "look at your slot". Borrowed. */
const sigset_t *stop_wait_mask(void);

/* The same, for a long wait for a program: SIGCHLD gets through too, which means that a
 * child has changed its state, or a process that has made us its tracer (tracee.h). */
const sigset_t *stop_watch_mask(void);

/* ppoll(2), until DEADLINE_MS (CLOCK_MONOTONIC, or CLOCK_NEVER); with that mask if
 * CAN_STOP, else with one that lets SIGUSR1 alone through; and with the watchdog paused.
 * Returns what it does, with errno. */
int stop_poll(struct pollfd *polls, nfds_t count, uint64_t deadline_ms, bool can_stop);

/* SIGTERM or SIGINT has come: end the session. */
bool stop_is_now(void);

/* The wait that a stop has ended was within another's: the next one ends at once, too. */
void stop_pass_on(void);

/* Any of them has come: accept no more. */
bool stop_is_requested(void);

/* How long a session that was told to end now may take. The address is set once, and
 * borrowed. */
void stop_set_grace(const _Atomic uint32_t *grace_ms);
uint32_t stop_grace_ms(void);

#endif
