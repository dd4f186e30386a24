/*
 * net_apply: a new address, netmask, default route and resolv.conf for the guest,
 * for the kinds of session that ask for it.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SESSION_CONTROL_NET_APPLY_H
#define SESSION_CONTROL_NET_APPLY_H

#include <stdbool.h>
#include <stdint.h>

#include "protocol/net_request.h"

#define NET_APPLY_PROBLEM_SIZE 128

struct net_apply_result {
	uint32_t times[NET_REQUEST_TIMES];    /* microseconds; of steps not done 0 */
	char problem[NET_APPLY_PROBLEM_SIZE]; /* of the network, where it failed */
	int resolv_conf_error;		      /* -errno; 0: written, or left alone */
};

/* Changes the network; DNS is the operator's option (protocol/name_servers.h). Logs
 * nothing, so that the caller can answer first. Returns 0, or -errno with RET's problem
 * filled in; a resolv.conf that can't be written is not a failure. */
int net_apply(const struct net_request *request, const char *dns, struct net_apply_result *ret);

/* Whether that writes a resolv.conf. */
bool net_apply_writes(const struct net_request *request, const char *dns);

/* Logs what went wrong, with WHO in front. */
void net_apply_log(const struct net_apply_result *result, const char *who);

#endif
