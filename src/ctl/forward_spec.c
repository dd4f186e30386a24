/*
 * Read from the left: what begins with a digit and is a number is a port, so that it is
 * told apart from an address in front of one.
 *
 * SPDX-License-Identifier: MIT
 */
#include "ctl/forward_spec.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "ctl/command.h"

#define FORWARD_SPEC_LOCAL "127.0.0.1"

/* Cuts the part in front of the first ':' off *TEXT, which goes on behind it; that of
 * "[...]:" without the brackets. NULL: there is no ':'. */
static char *
forward_spec_cut(char **text)
{
	char *part = *text;
	char *end = strchr(part, part[0] == '[' ? ']' : ':');

	if (end == NULL)
		return NULL;
	if (part[0] == '[') {
		*end++ = '\0';
		part++;
	}
	if (*end != ':')
		return NULL;
	*end = '\0';
	*text = end + 1;
	return part;
}

static int
forward_spec_parse_port(const char *text, uint64_t least, uint16_t *ret)
{
	uint64_t number;

	if (command_parse_number(text, least, UINT16_MAX, &number) < 0)
		return -EINVAL;
	*ret = (uint16_t)number;
	return 0;
}

static bool
forward_spec_is_address(const char *text)
{
	struct in6_addr ignored;

	return inet_pton(AF_INET, text, &ignored) == 1 || inet_pton(AF_INET6, text, &ignored) == 1;
}

int
forward_spec_parse_target(char *text, struct tunnel_target *ret)
{
	char *host;

	*ret = (struct tunnel_target){ 0 };
	if (text[0] == '/') {
		ret->path = text;
		return strlen(text) < sizeof(((struct sockaddr_un *)NULL)->sun_path) ? 0 : -EINVAL;
	}
	if (forward_spec_parse_port(text, 1, &ret->port) == 0)
		return 0;
	host = forward_spec_cut(&text);
	if (host == NULL)
		return -EINVAL;
	if (strcmp(host, "localhost") != 0) {
		if (!forward_spec_is_address(host))
			return -EINVAL;
		ret->host = host;
	}
	return forward_spec_parse_port(text, 1, &ret->port);
}

static int
forward_spec_set_path(struct forward_spec *spec, const char *path)
{
	spec->address.un.sun_family = AF_UNIX;
	spec->address_len = sizeof(spec->address.un);
	(void)strlcpy(spec->name, path, sizeof(spec->name));
	return strlcpy(spec->address.un.sun_path, path, sizeof(spec->address.un.sun_path)) <
		       sizeof(spec->address.un.sun_path)
		   ? 0
		   : -EINVAL;
}

static int
forward_spec_set_port(struct forward_spec *spec, const char *name, uint16_t port)
{
	(void)strlcpy(spec->name, name, sizeof(spec->name));
	if (inet_pton(AF_INET, name, &spec->address.in.sin_addr) == 1) {
		spec->address.in.sin_family = AF_INET;
		spec->address.in.sin_port = htons(port);
		spec->address_len = sizeof(spec->address.in);
		return 0;
	}
	if (inet_pton(AF_INET6, name, &spec->address.in6.sin6_addr) == 1) {
		spec->address.in6.sin6_family = AF_INET6;
		spec->address.in6.sin6_port = htons(port);
		spec->address_len = sizeof(spec->address.in6);
		return 0;
	}
	return -EINVAL;
}

int
forward_spec_parse(char *text, struct forward_spec *ret)
{
	const char *name = FORWARD_SPEC_LOCAL;
	const char *first = forward_spec_cut(&text);
	uint16_t port;
	int r;

	*ret = (struct forward_spec){ 0 };
	if (first == NULL)
		return -EINVAL;
	if (first[0] == '/' || first[0] == '.') {
		r = forward_spec_set_path(ret, first);
		return r < 0 ? r : forward_spec_parse_target(text, &ret->target);
	}
	if (forward_spec_parse_port(first, 0, &port) < 0) {
		name = strcmp(first, "localhost") == 0 ? FORWARD_SPEC_LOCAL : first;
		first = forward_spec_cut(&text);
		if (first == NULL || forward_spec_parse_port(first, 0, &port) < 0)
			return -EINVAL;
	}
	r = forward_spec_set_port(ret, name, port);
	return r < 0 ? r : forward_spec_parse_target(text, &ret->target);
}
