/*
 * tcp_port: who listens on a TCP port, by /proc/net/tcp and tcp6 (proc(5)).
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PLATFORM_TCP_PORT_H
#define PLATFORM_TCP_PORT_H

#include <stdint.h>

/* Whether a TCP socket of this network namespace listens on PORT, at whatever
 * address, IPv4 or IPv6. Returns 1, 0, or -errno. */
int tcp_port_is_listened(uint16_t port);

#endif
