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
#include <sys/un.h>

#include "protocol/json.h"

/* STATUS's whole payload once a CONNECT has been made. */
#define PORT_REQUEST_CONNECTED "{\"event\":\"connected\"}"

/* Room for "[address]:port", and for a path. */
#define PORT_REQUEST_NAME_SIZE sizeof(((struct sockaddr_un *)NULL)->sun_path)

struct port_wait {
	uint16_t port;
	uint64_t timeout_ms; /* 0: look once */
};

/* Reads WAIT_PORT's LEN bytes of TEXT. Returns 0; or -EINVAL or -ENOMEM with
 * ERROR filled in. */
int port_wait_parse(const char *text, size_t len, struct port_wait *ret, struct json_error *error);

/* What CONNECT leads to. */
struct port_target {
	union {
		struct sockaddr any;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
		struct sockaddr_un un;
	} address;
	socklen_t address_len;
	char name[PORT_REQUEST_NAME_SIZE]; /* for people */
};

/* Reads CONNECT's: an address of the guest, 127.0.0.1 where none is given, and a
 * port from 1; or the absolute path of a socket. Returns 0; or -EINVAL or -ENOMEM with ERROR filled
 * in. */
int port_target_parse(
    const char *text, size_t len, struct port_target *ret, struct json_error *error);

/* The JSON for a host to send, in a new block that the caller frees; NULL: no
 * memory. Of CONNECT, PATH is given, or PORT and, unless it is NULL, HOST. */
char *port_wait_format(const struct port_wait *wait, size_t *ret_len);
char *port_target_format(const char *host, uint16_t port, const char *path, size_t *ret_len);

#endif
