/*
 * tunnel: one TCP connection of this machine, carried to a port of the guest by
 * CONNECT.
 *
 *   TCP -> STDIN, and its end -> EOF
 *   STDOUT -> TCP, and an empty STDOUT -> the end of that direction
 *
 * Either direction may end first; neither waits for the other.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CTL_TUNNEL_H
#define CTL_TUNNEL_H

#include <stdbool.h>
#include <stdint.h>

#include "ctl/core/client.h"

/* Whether the end of FD is a reset (socket(7), SO_LINGER), whatever the reason: until
 * all has been carried, it is cut off, and that must not look like an end. */
void tunnel_set_reset(int fd, bool on);

/* Carries the connection TCP_FD, which stays the caller's, to HOST (NULL: 127.0.0.1)
 * and PORT as the guest knows them. Returns 0 when the agent says that it is over: if
 * both directions came to their end, tunnel_set_reset() is undone; -ECONNREFUSED with
 * ERROR filled in if the guest did not take it; or -errno. */
int tunnel_run(int tcp_fd, const char *host, uint16_t port, struct client_error *error);

#endif
