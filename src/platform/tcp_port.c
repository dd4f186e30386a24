/*
 * SPDX-License-Identifier: MIT
 */
#include "platform/tcp_port.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "platform/proc.h"
#include "platform/stream.h"

/* TCP_LISTEN of the kernel's net/tcp_states.h. */
#define TCP_PORT_LISTEN 0x0a

#define TCP_PORT_LINE_MAX 512

static bool
tcp_port_is_in_line(const char *line, uint16_t wanted)
{
	unsigned port;
	unsigned state;

	/* "  0: 0100007F:0050 00000000:0000 0A …" */
	return sscanf(line, " %*d: %*[0-9A-Fa-f]:%x %*[0-9A-Fa-f]:%*x %x", &port, &state) == 2 &&
	       port == wanted && state == TCP_PORT_LISTEN;
}

static int
tcp_port_is_in_table(const char *path, uint16_t port)
{
	FILE CLEANUP_FILE *table = NULL;
	int r = stream_open(proc_dir_fd(), path, &table);
	char line[TCP_PORT_LINE_MAX];
	int found = 0;

	if (r < 0)
		return r;
	while (found == 0 && fgets(line, sizeof(line), table) != NULL)
		found = tcp_port_is_in_line(line, port);
	return found;
}

int
tcp_port_is_listened(uint16_t port)
{
	int r = tcp_port_is_in_table("net/tcp", port);
	int r6;

	if (r > 0)
		return r;
	/* A kernel without IPv6 has no second table. */
	r6 = tcp_port_is_in_table("net/tcp6", port);
	return r6 > 0 ? r6 : r;
}
