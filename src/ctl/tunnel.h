/*
 * tunnel: one TCP connection of this machine, carried to a port of the guest by
 * CONNECT.
 *
 *   TCP -> STDIN, and its end -> EOF
 *   STDOUT -> TCP, and an empty STDOUT -> the end of that direction
 *
 * Either direction may end first; neither waits for the other.
 */
#ifndef CTL_TUNNEL_H
#define CTL_TUNNEL_H

#include <stdint.h>

#include "ctl/client.h"

/* Carries the connection TCP_FD, which stays the caller's, to HOST (NULL: 127.0.0.1)
 * and PORT as the guest knows them. Returns 0 when both directions have ended;
 * -ECONNREFUSED with ERROR filled in if the guest did not take it; or -errno. */
int tunnel_run(int tcp_fd, const char *host, uint16_t port, struct client_error *error);

#endif
