/*
 * SPDX-License-Identifier: MIT
 */
#include "session/control/clock_sync.h"

#include <errno.h>

#include "platform/entropy.h"
#include "platform/log.h"
#include "shared/host_clock.h"

void
clock_sync_serve(struct session *session, uint8_t type, const uint8_t *payload, size_t len)
{
	struct frame_clock_sync request;
	int clock_result;
	int entropy_result = 0;
	int r = frame_clock_sync_parse(payload, len, &request);

	(void)type;
	if (r < 0) {
		session_refuse(session, &session->board->counts.bad_requests, -EINVAL,
		    "clock sync: %zu bytes are too few, %d are needed", len,
		    VMM_GUEST_CLOCK_SYNC_LEN);
		return;
	}
	clock_result = host_clock_set(session->board, request.seconds, request.nanoseconds);
	if (request.entropy_len > 0)
		entropy_result = entropy_credit(request.entropy, request.entropy_len);
	r = clock_result < 0 ? clock_result : entropy_result;
	session_send_exit(session, r < 0 ? VMM_GUEST_EXIT_CONTROL_FAILED : VMM_GUEST_EXIT_OK, 0);
	if (clock_result < 0)
		log_error(clock_result, "clock sync: can't set the clock");
	if (entropy_result < 0)
		log_error(entropy_result, "clock sync: can't credit %zu bytes of entropy",
		    request.entropy_len);
}
