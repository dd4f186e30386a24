/*
 * port_request: the JSON of WAIT_PORT and CONNECT.
 */
#include "protocol/port_request.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>

#define PORT_REQUEST_HOST "127.0.0.1"

static uint16_t
port_request_need_port(struct json_object *object, struct json_error *error)
{
	uint64_t port = json_get_u64(object, "port", UINT16_MAX, 0, error);

	if (!json_has(object, "port"))
		json_fail(error, "member 'port' is missing");
	return (uint16_t)port;
}

int
port_wait_parse(const char *text, size_t len, struct port_wait *ret, struct json_error *error)
{
	struct json_object *CLEANUP_JSON object = json_parse_object(text, len, error);
	struct port_wait wait;

	if (object == NULL)
		return -EINVAL;
	wait.port = port_request_need_port(object, error);
	wait.timeout_ms = json_get_u64(object, "timeout_ms", UINT64_MAX, 0, error);
	if (error->text[0] != '\0')
		return -EINVAL;
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
		(void)snprintf(target->name, sizeof(target->name), "%s:%u", host, port);
		return 0;
	}
	if (inet_pton(AF_INET6, host, &target->address.in6.sin6_addr) == 1) {
		target->address.in6.sin6_family = AF_INET6;
		target->address.in6.sin6_port = htons(port);
		target->address_len = sizeof(target->address.in6);
		(void)snprintf(target->name, sizeof(target->name), "[%s]:%u", host, port);
		return 0;
	}
	return -EINVAL;
}

int
port_target_parse(const char *text, size_t len, struct port_target *ret, struct json_error *error)
{
	struct json_object *CLEANUP_JSON object = json_parse_object(text, len, error);
	struct port_target target = { .address_len = 0 };
	const char *host;
	uint16_t port;

	if (object == NULL)
		return -EINVAL;
	port = port_request_need_port(object, error);
	if (port == 0)
		json_fail(error, "member 'port': out of range, 1 to 65535");
	host = json_get_string(object, "host", PORT_REQUEST_HOST, error);
	if (host != NULL && port_target_set(&target, host, port) < 0)
		json_fail(error, "member 'host': '%.64s' is no IPv4 or IPv6 address", host);
	if (error->text[0] != '\0')
		return -EINVAL;
	*ret = target;
	return 0;
}

char *
port_wait_format(const struct port_wait *wait, size_t *ret_len)
{
	struct json_object *CLEANUP_JSON object = json_object_new_object();

	if (object == NULL)
		return NULL;
	(void)json_object_object_add(object, "port", json_object_new_uint64(wait->port));
	(void)json_object_object_add(
	    object, "timeout_ms", json_object_new_uint64(wait->timeout_ms));
	return json_to_text(object, ret_len);
}

char *
port_target_format(const char *host, uint16_t port, size_t *ret_len)
{
	struct json_object *CLEANUP_JSON object = json_object_new_object();

	if (object == NULL)
		return NULL;
	if (host != NULL)
		(void)json_object_object_add(object, "host", json_object_new_string(host));
	(void)json_object_object_add(object, "port", json_object_new_uint64(port));
	return json_to_text(object, ret_len);
}
