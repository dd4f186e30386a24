/*
 * dial: connections to a port of an agent, or of the host, with a time limit.
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

#endif
