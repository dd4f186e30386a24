/*
 * tunnel: one connection of this machine, or its standard streams, carried to a port or
 * a Unix socket of the guest by CONNECT.
 *
 *   here -> STDIN, and its end -> EOF
 *   STDOUT -> here, and an empty STDOUT -> the end of that direction
 *
 * Either direction may end first; neither waits for the other.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CTL_TUNNEL_H
#define CTL_TUNNEL_H

#include <stdbool.h>
#include <stdint.h>

#include "ctl/core/guest.h"

/* Where a connection leads, as the guest knows it. */
struct tunnel_target {
	const char *path; /* of a Unix socket; NULL: HOST and PORT */
	const char *host; /* an address; NULL: 127.0.0.1 */
	uint16_t port;
};

/* Whether the end of FD is a reset (socket(7), SO_LINGER), whatever the reason: until
 * all has been carried, it is cut off, and that must not look like an end. */
void tunnel_set_reset(int fd, bool on);

/* Carries the connection FD, which stays the caller's, to TARGET. Returns 0 when the
 * agent says that it is over: if both directions came to their end, tunnel_set_reset() is
 * undone; -ECONNREFUSED with ERROR filled in if the guest did not take it; or -errno. */
int tunnel_run(int fd, const struct tunnel_target *target, struct client_error *error);

/* The same of standard input and output. The output is closed when the guest sends
 * nothing any more. -ECONNRESET if the connection in the guest broke. */
int tunnel_run_standard(const struct tunnel_target *target, struct client_error *error);

#endif
