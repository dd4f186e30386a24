/*
 * dial: connections to a port of an agent, or of the host: within a time limit, or
 * begun and looked at later.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PLATFORM_DIAL_H
#define PLATFORM_DIAL_H

#include <stdint.h>

#include "platform/address.h"

/* Connects to ADDRESS (of kind ADDRESS_VSOCK; for ADDRESS_UNIX to the socket,
 * whose CONNECT line is the caller's to write) at vsock PORT within TIMEOUT_MS
 * (-1: no limit). Returns 0 with a blocking, close-on-exec socket in *RET_FD,
 * which the caller owns; -ETIMEDOUT, or -errno of socket(2) or connect(2). */
int dial_open(const struct address *address, uint32_t port, int timeout_ms, int *ret_fd);

/* Begins a connection to the vsock port TO and does not wait for it. Returns 0 with a
 * non-blocking, close-on-exec socket in *RET_FD, which the caller owns: once poll(2)
 * finds it writable, dial_result() says what came of it. -errno of socket(2) or
 * connect(2) where that is known at once. */
int dial_begin(const struct address_port *to, int *ret_fd);

/* The same for a PORT of the host whose vsock device has its Unix socket at PATH: the
 * host listens at "PATH_PORT" (Firecracker's docs/vsock.md, "Guest-initiated
 * connections"). It connects only to a socket that root or this user owns and listens on:
 * else -ENOTSOCK or -EPERM. -EAGAIN if the queue of connections
 * is full, -ENAMETOOLONG (unix(7)). */
int dial_begin_unix(const char *path, uint32_t port, int *ret_fd);

/* 0 where the connection FD was made, or -errno of connect(2). Asked once. */
int dial_result(int fd);

#endif
