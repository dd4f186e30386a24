/*
 * net_request: NET_RECONFIG's JSON, and the EXIT with times.
 */
#include "protocol/net_request.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "protocol/frame.h"
#include "protocol/ip_param.h"
#include "protocol/wire.h"

/* All ones in front of all zeros. */
static bool
net_request_is_netmask(struct in_addr mask)
{
	uint32_t holes = ~ntohl(mask.s_addr);

	return (holes & (holes + 1)) == 0;
}

static const char *
net_request_read_quad(
    struct json_object *object, const char *name, struct in_addr *ret, struct json_error *error)
{
	const char *text = json_need_string(object, name, error);

	if (text != NULL && ip_param_parse_quad(text, ret) < 0)
		json_fail(error, "member '%s': '%.64s' is not a dotted quad", name, text);
	return text;
}

int
net_request_read(struct json_object *object, struct net_request *ret, struct json_error *error)
{
	struct net_request request = { .address.s_addr = INADDR_ANY };
	const char *gateway;

	(void)net_request_read_quad(object, "ip", &request.address, error);
	(void)net_request_read_quad(object, "netmask", &request.netmask, error);
	gateway = net_request_read_quad(object, "gateway", &request.gateway, error);
	if (request.address.s_addr == INADDR_ANY)
		json_fail(error, "member 'ip': 0.0.0.0 is not an address");
	if (!net_request_is_netmask(request.netmask))
		json_fail(error, "member 'netmask': it has holes");
	if (error->text[0] != '\0')
		return -EINVAL;
	(void)strlcpy(request.gateway_text, gateway, sizeof(request.gateway_text));
	*ret = request;
	return 0;
}

int
net_request_parse(const char *text, size_t len, struct net_request *ret, struct json_error *error)
{
	struct json_object *CLEANUP_JSON object = json_parse_object(text, len, error);

	return object != NULL ? net_request_read(object, ret, error) : -EINVAL;
}

char *
net_request_format(const char *ip, const char *netmask, const char *gateway, size_t *ret_len)
{
	struct json_object *CLEANUP_JSON object = json_object_new_object();

	if (object == NULL)
		return NULL;
	(void)json_object_object_add(object, "ip", json_object_new_string(ip));
	(void)json_object_object_add(object, "netmask", json_object_new_string(netmask));
	(void)json_object_object_add(object, "gateway", json_object_new_string(gateway));
	return json_to_text(object, ret_len);
}

void
net_request_exit_format(uint8_t *bytes, const uint32_t times[NET_REQUEST_TIMES])
{
	frame_exit_format(bytes, (struct frame_exit){ .code = VMM_GUEST_EXIT_OK });
	for (int i = 0; i < NET_REQUEST_TIMES; i++)
		wire_put_u32(bytes + VMM_GUEST_EXIT_LEN + (size_t)i * sizeof(uint32_t), times[i]);
}
