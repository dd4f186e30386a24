/*
 * port_request: the JSON of WAIT_PORT and CONNECT, both ways.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PROTOCOL_PORT_REQUEST_H
#define PROTOCOL_PORT_REQUEST_H

#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "protocol/json.h"

/* STATUS's whole payload once a CONNECT has been made. */
#define PORT_REQUEST_CONNECTED "{\"event\":\"connected\"}"

/* Room for "[address]:port". */
#define PORT_REQUEST_NAME_SIZE (INET6_ADDRSTRLEN + sizeof("[]:65535"))

struct port_wait {
	uint16_t port;
	uint64_t timeout_ms; /* 0: look once */
};

/* Reads WAIT_PORT's LEN bytes of TEXT. Returns 0; or -EINVAL or -ENOMEM with
 * ERROR filled in. */
int port_wait_parse(const char *text, size_t len, struct port_wait *ret, struct json_error *error);

struct port_target {
	union {
		struct sockaddr any;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
	} address;
	socklen_t address_len;
	char name[PORT_REQUEST_NAME_SIZE]; /* for people */
};

/* Reads CONNECT's: an address of the guest, 127.0.0.1 where none is given, and a
 * port from 1. Returns 0; or -EINVAL or -ENOMEM with ERROR filled in. */
int port_target_parse(
    const char *text, size_t len, struct port_target *ret, struct json_error *error);

/* The JSON for a host to send, in a new block that the caller frees; NULL: no
 * memory. HOST may be NULL. */
char *port_wait_format(const struct port_wait *wait, size_t *ret_len);
char *port_target_format(const char *host, uint16_t port, size_t *ret_len);

#endif
