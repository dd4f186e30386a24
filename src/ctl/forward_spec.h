/*
 * forward_spec: what "forward" carries where, as it is written on the command line.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CTL_FORWARD_SPEC_H
#define CTL_FORWARD_SPEC_H

#include <netinet/in.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "ctl/tunnel.h"

union forward_address {
	struct sockaddr any;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
	struct sockaddr_un un;
};

struct forward_spec {
	union forward_address address; /* of this machine, to listen on */
	socklen_t address_len;
	char name[sizeof(((struct sockaddr_un *)NULL)->sun_path)]; /* of it, without the port */
	struct tunnel_target target; /* its texts are the caller's TEXT */
};

/* Reads "[ADDRESS:]PORT:TARGET" or "PATH:TARGET" into RET; a PATH begins with '/' or '.'.
 * TEXT is cut into pieces, and has to stay. Returns 0 or -EINVAL. */
int forward_spec_parse(char *text, struct forward_spec *ret);

/* Reads a TARGET: "PORT", "HOST:PORT" with an address or "localhost", or "/PATH" of a Unix
 * socket in the guest. The same holds of TEXT. */
int forward_spec_parse_target(char *text, struct tunnel_target *ret);

#endif
