/*
 * fd_keep: descriptors that lie in a queue (fdpass.h), all together, and stay there when they
 * are looked at: whoever holds the queue can have what a process had open that has died.
 * See unix(7), SCM_RIGHTS, and MSG_PEEK of recv(2).
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PLATFORM_FD_KEEP_H
#define PLATFORM_FD_KEEP_H

#include <stddef.h>

/* The kernel takes up to 253 in one message (SCM_MAX_FD). */
#define FD_KEEP_MAX 64

/* Puts duplicates of the COUNT descriptors, 1 to FD_KEEP_MAX, into the queue, which is to be
 * empty. Returns 0 or -errno: then it is empty still. */
int fd_keep_put(int write_fd, const int *fds, size_t count);

/* Duplicates of what lies there, in the same order, close-on-exec, the caller's. What does not
 * fit is left out, and so are the last ones where this process can't have that many open.
 * Returns how many; -EAGAIN where there is nothing; or -errno. */
int fd_keep_look(int read_fd, int fds[FD_KEEP_MAX]);

#endif
