/*
 * pidfd: processes by descriptor, so that a number that was used again is never
 * signalled. See pidfd_open(2), pidfd_send_signal(2).
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PLATFORM_PIDFD_H
#define PLATFORM_PIDFD_H

#include <sys/types.h>

/* Returns a new close-on-exec descriptor for the process PID, or -errno. */
int pidfd_open_process(pid_t pid);

/* Sends SIGNAL. Returns 0 or -errno. */
int pidfd_send(int pid_fd, int signal);

#endif
