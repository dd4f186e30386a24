/*
 * net_request: NET_RECONFIG's JSON, which is RESTORED's "net" too; and the EXIT
 * with times that answers the former.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PROTOCOL_NET_REQUEST_H
#define PROTOCOL_NET_REQUEST_H

#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol/json.h"
#include "vmm-guest/protocol.h"

struct net_request {
	struct in_addr address;
	struct in_addr netmask;
	struct in_addr gateway;
	char gateway_text[INET_ADDRSTRLEN];
};

/* Reads the LEN bytes of TEXT. Returns 0; -EINVAL with ERROR filled in: a
 * member is missing, is not a dotted quad, or is nothing that an interface can
 * have (the address 0.0.0.0, a netmask with holes); or -ENOMEM with ERROR too. */
int net_request_parse(
    const char *text, size_t len, struct net_request *ret, struct json_error *error);

/* The request as it is written: three dotted quads. */
struct net_text {
	const char *ip;
	const char *netmask;
	const char *gateway;
};

/* What they say. Returns as net_request_parse(). */
int net_request_read(
    const struct net_text *text, struct net_request *ret, struct json_error *error);

/* Their description, which is RESTORED's too: a member TEXT of TYPE. For protocol/ alone. */
#define NET_REQUEST_MEMBERS(type, text)                                                            \
	{ "ip", .kind = MESSAGE_TEXT, MESSAGE_AT(type, text.ip), .flags = MESSAGE_NEEDED },        \
	    { "netmask", .kind = MESSAGE_TEXT, MESSAGE_AT(type, text.netmask),                     \
		    .flags = MESSAGE_NEEDED },                                                     \
	{                                                                                          \
		"gateway", .kind = MESSAGE_TEXT, MESSAGE_AT(type, text.gateway),                   \
			   .flags = MESSAGE_NEEDED                                                 \
	}

/* The times in EXIT, microseconds. */
enum net_request_time {
	NET_REQUEST_ADDRESS_US = 0,
	NET_REQUEST_NETMASK_US,
	NET_REQUEST_ROUTE_DELETE_US,
	NET_REQUEST_ROUTE_ADD_US,
	NET_REQUEST_RESOLV_CONF_US,
	NET_REQUEST_TOTAL_US,
	NET_REQUEST_TIMES
};

/* Writes the payload of an EXIT 0 with times: VMM_GUEST_NET_EXIT_LEN bytes. */
void net_request_exit_format(uint8_t *bytes, const uint32_t times[NET_REQUEST_TIMES]);

#endif
