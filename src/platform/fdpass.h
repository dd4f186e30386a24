/*
 * fdpass: a descriptor put into the queue of a socket pair and taken out again.
 * While it lies there the file behind it stays open, whichever process dies. See unix(7),
 * SCM_RIGHTS.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PLATFORM_FDPASS_H
#define PLATFORM_FDPASS_H

/* Opens a queue: what is put into the writing end can be taken out of the reading end.
 * Both are non-blocking and close-on-exec, and the caller's.
 * Returns 0 or -errno. */
int fdpass_open(int *ret_read_fd, int *ret_write_fd);

/* Puts a duplicate of FD into the queue; FD stays the caller's. Nobody is woken.
 * Returns 0 or -errno. */
int fdpass_put(int write_fd, int fd);

/* Takes one out: close-on-exec, the caller's. Returns 0, -EAGAIN if the queue is
 * empty, or -errno. */
int fdpass_take(int read_fd, int *ret_fd);

/* Takes one out and lets it go: cheaper than to take and close it. Returns 0, -EAGAIN
 * if the queue is empty, or -errno: it is still there then. */
int fdpass_drop(int read_fd);

#endif
