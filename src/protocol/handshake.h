/*
 * handshake: the line by which a client of a Firecracker or Cloud Hypervisor
 * vsock device in its Unix socket names a port, and the answer.
 * Source: Firecracker's docs/vsock.md, "Host-initiated connections", and what its
 * device takes: the verb in any case, white space before, between and behind the
 * words, further words, a port with a "+" or zeros in front.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PROTOCOL_HANDSHAKE_H
#define PROTOCOL_HANDSHAKE_H

#include <stddef.h>
#include <stdint.h>

/* A CONNECT line ends at a newline behind its first nine bytes, or with this many. */
#define HANDSHAKE_LINE_MAX 32

/* Looks for "CONNECT <port>\n" at the start of the LEN bytes of TEXT. Returns 0
 * with *RET_PORT and the line's length in *RET_LEN; -EAGAIN if the line is not
 * whole yet; -EBADMSG if it never will be one. */
int handshake_parse(const char *text, size_t len, uint32_t *ret_port, size_t *ret_len);

/* Writes "CONNECT <port>\n", or the answer "OK <number>\n", to TEXT of SIZE
 * bytes; HANDSHAKE_LINE_MAX is enough. Returns the length without the NUL. */
size_t handshake_format_connect(char *text, size_t size, uint32_t port);
size_t handshake_format_ok(char *text, size_t size, uint32_t number);

#endif
