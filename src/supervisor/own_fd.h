/*
 * own_fd: the descriptors that are the supervisor's own. Their numbers begin at a fixed
 * one, so that a worker can close them in two calls. What workers keep (the listeners, the
 * bells, standard error, the journals) lies below that. All are close-on-exec.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SUPERVISOR_OWN_FD_H
#define SUPERVISOR_OWN_FD_H

#include <stddef.h>

#define OWN_FD_MIN 100

/* Moves FD there. Returns its new number, or FD where there is no room. */
int own_fd_hide(int fd);

/* Makes a duplicate of FD there: the caller's. Returns it, or -errno. */
int own_fd_copy(int fd);

/* In a new process: closes all descriptors from MIN on but the COUNT of KEPT, of which any
 * may be -1. */
void own_fd_close_others(unsigned min, const int *kept, size_t count);

#endif
