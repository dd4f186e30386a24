/*
 * own_fd: the descriptors that are the supervisor's own. Their numbers begin at a fixed
 * one, so that a worker can close them in two calls. What workers keep (the listeners, the
 * bell, standard error, the journals) lies below that. All are close-on-exec.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SUPERVISOR_OWN_FD_H
#define SUPERVISOR_OWN_FD_H

#define OWN_FD_MIN 100

/* Moves FD there. Returns its new number, or FD where there is no room. */
int own_fd_hide(int fd);

/* Makes a duplicate of FD there: the caller's. Returns it, or -errno. */
int own_fd_copy(int fd);

/* In a new worker: closes all that lie there but KEPT_FD. */
void own_fd_close_others(int kept_fd);

#endif
