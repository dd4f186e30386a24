/*
 * SPDX-License-Identifier: MIT
 */
#include "session/control/net.h"

#include "protocol/net_request.h"
#include "session/control/net_apply.h"

static void
net_send_times(struct session *session, const uint32_t times[NET_REQUEST_TIMES])
{
	uint8_t payload[VMM_GUEST_NET_EXIT_LEN];

	net_request_exit_format(payload, times);
	(void)session_send_last(session, VMM_GUEST_EXIT, payload, sizeof(payload));
}

void
net_serve(struct session *session, uint8_t type, const uint8_t *payload, size_t len)
{
	struct net_apply_result result;
	struct net_request request;
	struct json_error error;

	(void)type;
	if (net_request_parse((const char *)payload, len, &request, &error) < 0) {
		session_refuse_bad(session, "NET_RECONFIG", &error);
		return;
	}
	if (net_apply(&request, session->settings->dns, &result) == 0)
		net_send_times(session, result.times);
	else
		session_send_exit(session, VMM_GUEST_EXIT_CONTROL_FAILED, 0);
	net_apply_log(&result, "NET_RECONFIG");
}
