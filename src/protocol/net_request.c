/*
 * net_request: NET_RECONFIG's JSON, and the EXIT with times.
 *
 * SPDX-License-Identifier: MIT
 */
#include "protocol/net_request.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "protocol/frame.h"
#include "protocol/ip_param.h"
#include "protocol/message.h"
#include "protocol/wire.h"

struct net_json {
	struct net_text text;
};

static const struct message_member net_request_table[] = {
	NET_REQUEST_MEMBERS(struct net_json, text),
};
static const struct message net_request_message = MESSAGE_OF(net_request_table);

/* All ones in front of all zeros. */
static bool
net_request_is_netmask(struct in_addr mask)
{
	uint32_t holes = ~ntohl(mask.s_addr);

	return (holes & (holes + 1)) == 0;
}

static void
net_request_read_quad(
    const char *name, const char *text, struct in_addr *ret, struct json_error *error)
{
	if (ip_param_parse_quad(text, ret) < 0)
		json_fail(error, "member '%s': '%.64s' is not a dotted quad", name, text);
}

int
net_request_read(const struct net_text *text, struct net_request *ret, struct json_error *error)
{
	struct net_request request = { .address.s_addr = INADDR_ANY };

	net_request_read_quad("ip", text->ip, &request.address, error);
	net_request_read_quad("netmask", text->netmask, &request.netmask, error);
	net_request_read_quad("gateway", text->gateway, &request.gateway, error);
	if (request.address.s_addr == INADDR_ANY)
		json_fail_member(error, "ip", "0.0.0.0 is not an address");
	if (!net_request_is_netmask(request.netmask))
		json_fail_member(error, "netmask", "it has holes");
	if (error->code < 0)
		return error->code;
	(void)strlcpy(request.gateway_text, text->gateway, sizeof(request.gateway_text));
	*ret = request;
	return 0;
}

int
net_request_parse(const char *text, size_t len, struct net_request *ret, struct json_error *error)
{
	struct json_object *CLEANUP_JSON json = NULL;
	struct net_json request = { .text.ip = NULL };
	int r = message_parse(&net_request_message, text, len, &request, &json, error);

	return r == 0 ? net_request_read(&request.text, ret, error) : r;
}

void
net_request_exit_format(uint8_t *bytes, const uint32_t times[NET_REQUEST_TIMES])
{
	frame_exit_format(bytes, (struct frame_exit){ .code = VMM_GUEST_EXIT_OK });
	for (int i = 0; i < NET_REQUEST_TIMES; i++)
		wire_put_u32(bytes + VMM_GUEST_EXIT_LEN + (size_t)i * sizeof(uint32_t), times[i]);
}
