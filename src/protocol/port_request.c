/*
 * port_request: the JSON of WAIT_PORT and CONNECT.
 *
 * SPDX-License-Identifier: MIT
 */
#include "protocol/port_request.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "platform/text.h"
#include "protocol/message.h"

#define PORT_REQUEST_HOST "127.0.0.1"

/* CONNECT as it is written. */
struct port_text {
	const char *host;
	const char *path;
	uint16_t port;
};

static const struct message_member port_target_table[] = {
	{ "host", .kind = MESSAGE_TEXT, MESSAGE_AT(struct port_text, host),
	    .text = PORT_REQUEST_HOST },
	{ "port", .kind = MESSAGE_UNSIGNED, MESSAGE_AT(struct port_text, port),
	    .least = MESSAGE_FROM_1 },
	{ "path", .kind = MESSAGE_TEXT, MESSAGE_AT(struct port_text, path) },
};
static const struct message port_target_message = MESSAGE_OF(port_target_table);

static const struct message_member port_wait_table[] = {
	{ "port", .kind = MESSAGE_UNSIGNED, MESSAGE_AT(struct port_wait, port),
	    .flags = MESSAGE_NEEDED },
	{ "timeout_ms", .kind = MESSAGE_UNSIGNED, MESSAGE_AT(struct port_wait, timeout_ms),
	    .flags = MESSAGE_ALWAYS },
};
static const struct message port_wait_message = MESSAGE_OF(port_wait_table);

int
port_wait_parse(const char *text, size_t len, struct port_wait *ret, struct json_error *error)
{
	struct port_wait wait = { 0 };
	int r = message_parse(&port_wait_message, text, len, &wait, NULL, error);

	if (r < 0)
		return r;
	*ret = wait;
	return 0;
}

/* Fills in the address that HOST names. */
static int
port_target_set(struct port_target *target, const char *host, uint16_t port)
{
	if (inet_pton(AF_INET, host, &target->address.in.sin_addr) == 1) {
		target->address.in.sin_family = AF_INET;
		target->address.in.sin_port = htons(port);
		target->address_len = sizeof(target->address.in);
		(void)text_format(target->name, sizeof(target->name), "%s:%u", host, port);
		return 0;
	}
	if (inet_pton(AF_INET6, host, &target->address.in6.sin6_addr) == 1) {
		target->address.in6.sin6_family = AF_INET6;
		target->address.in6.sin6_port = htons(port);
		target->address_len = sizeof(target->address.in6);
		(void)text_format(target->name, sizeof(target->name), "[%s]:%u", host, port);
		return 0;
	}
	return -EINVAL;
}

/* Fills in the socket that PATH names; what does not fit is cut. */
static int
port_target_set_path(struct port_target *target, const char *path)
{
	target->address.un.sun_family = AF_UNIX;
	target->address_len = sizeof(target->address.un);
	(void)strlcpy(target->name, path, sizeof(target->name));
	return path[0] == '/' && strlcpy(target->address.un.sun_path, path,
				     sizeof(target->address.un.sun_path)) < sizeof(target->name)
		   ? 0
		   : -EINVAL;
}

int
port_target_parse(const char *text, size_t len, struct port_target *ret, struct json_error *error)
{
	struct json_object *CLEANUP_JSON json = NULL;
	struct port_target target = { .address_len = 0 };
	struct port_text request = { 0 };
	int r = message_parse(&port_target_message, text, len, &request, &json, error);

	if (r < 0)
		return r;
	if ((request.port != 0) == (request.path[0] != '\0'))
		json_fail(error, "members 'port' and 'path': one of them is needed, not both");
	else if (request.port == 0 && port_target_set_path(&target, request.path) < 0)
		json_fail_member(error, "path", "it is not absolute, or has more than 107 bytes");
	else if (request.port != 0 && port_target_set(&target, request.host, request.port) < 0)
		json_fail(
		    error, "member 'host': '%.64s' is not an IPv4 or IPv6 address", request.host);
	if (error->code < 0)
		return error->code;
	*ret = target;
	return 0;
}

char *
port_wait_format(const struct port_wait *wait, size_t *ret_len)
{
	return message_format(&port_wait_message, wait, ret_len);
}

char *
port_target_format(const char *host, uint16_t port, const char *path, size_t *ret_len)
{
	struct port_text request = { .host = host, .path = path, .port = port };

	return message_format(&port_target_message, &request, ret_len);
}
