/*
 * tcp_relay: bytes between the host and a TCP connection of the guest, both ways,
 * until both directions are closed. Its rules stand in tcp_relay.c.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SESSION_CONTROL_TCP_RELAY_H
#define SESSION_CONTROL_TCP_RELAY_H

#include "session/conn.h"

/* Runs on TCP_FD, a connected, non-blocking socket; borrowed. A Unix socket does as well:
 * it knows no reset, and ends in order instead. Returns 0 when both
 * directions have been closed in order; -EPIPE if the host has gone; -EMSGSIZE
 * if it announced a frame above the limit; -ECANCELED if this worker is to stop;
 * or -errno of the TCP connection, as -ECONNRESET. But for -EPIPE the last frame
 * is the caller's to send: none is under way. */
int tcp_relay_run(struct conn *conn, int tcp_fd);

#endif
