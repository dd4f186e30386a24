/*
 * SPDX-License-Identifier: MIT
 */
#include "platform/address.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <linux/vm_sockets.h>

#define ADDRESS_UNIX_PREFIX "unix:"
#define ADDRESS_VSOCK_WORD "vsock"

int
address_parse(const char *text, struct address *ret)
{
	struct address address = { .kind = ADDRESS_VSOCK, .cid = VMADDR_CID_ANY };
	const char *error;

	if (strncmp(text, ADDRESS_UNIX_PREFIX, strlen(ADDRESS_UNIX_PREFIX)) == 0) {
		const char *path = text + strlen(ADDRESS_UNIX_PREFIX);

		address.kind = ADDRESS_UNIX;
		if (path[0] == '\0')
			return -EINVAL;
		if (strlcpy(address.path, path, sizeof(address.path)) >= sizeof(address.path))
			return -ENAMETOOLONG;
	} else if (strncmp(text, ADDRESS_VSOCK_WORD ":", strlen(ADDRESS_VSOCK_WORD ":")) == 0) {
		const char *cid = text + strlen(ADDRESS_VSOCK_WORD ":");

		address.cid = (uint32_t)strtonum(cid, 0, UINT32_MAX, &error);
		if (error != NULL)
			return -EINVAL;
	} else if (strcmp(text, ADDRESS_VSOCK_WORD) != 0) {
		return -EINVAL;
	}
	*ret = address;
	return 0;
}

int
address_parse_port(const char *text, struct address_port *ret)
{
	struct address_port address = { 0 };
	unsigned long cid;
	unsigned long port;
	char *end;

	if (text[0] == '\0') {
		*ret = address;
		return 0;
	}
	if (strncmp(text, ADDRESS_VSOCK_WORD ":", strlen(ADDRESS_VSOCK_WORD ":")) != 0)
		return -EINVAL;
	text += strlen(ADDRESS_VSOCK_WORD ":");
	if (!isdigit((unsigned char)text[0]))
		return -EINVAL;
	/* What is too large is ULONG_MAX, and refused, where a long has 32 bits too. */
	cid = strtoul(text, &end, 10);
	if (end[0] != ':' || !isdigit((unsigned char)end[1]))
		return -EINVAL;
	port = strtoul(end + 1, &end, 10);
	if (end[0] != '\0' || cid >= UINT32_MAX || port == 0 || port >= UINT32_MAX)
		return -EINVAL;
	*ret = (struct address_port){ .cid = (uint32_t)cid, .port = (uint32_t)port };
	return 0;
}
