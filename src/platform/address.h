/*
 * address: where an agent listens or is found: "vsock", "vsock:CID" or
 * "unix:PATH". Pure.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PLATFORM_ADDRESS_H
#define PLATFORM_ADDRESS_H

#include <stdint.h>
#include <sys/un.h>

enum address_kind {
	ADDRESS_VSOCK,
	ADDRESS_UNIX, /* the host side of a vsock device, in one Unix socket */
};

struct address {
	enum address_kind kind;
	uint32_t cid; /* VMADDR_CID_ANY where none was given; see vsock(7) */
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
};

/* Reads TEXT. Returns 0; -EINVAL for another form or an empty path; -ENAMETOOLONG
 * for a path that does not fit into a sockaddr_un (unix(7)). */
int address_parse(const char *text, struct address *ret);

/* One port of a CID; port 0 is none. */
struct address_port {
	uint32_t cid;
	uint32_t port;
};

/* Reads "vsock:CID:PORT"; "" is none. Returns 0, or -EINVAL for another form. */
int address_parse_port(const char *text, struct address_port *ret);

#endif
