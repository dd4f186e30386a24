/*
 * forget: FORGET. Hosts that are still attached go on to EXIT; see attach_run.h.
 *
 * SPDX-License-Identifier: MIT
 */
#include "session/durable/forget.h"

#include <errno.h>

#include "session/durable/find.h"

void
forget_serve(struct session *session, uint8_t type, const uint8_t *payload, size_t len)
{
	struct attach_request request;
	struct journal journal;
	int r = durable_find(session, type, payload, len, &request, &journal);

	attach_request_done(&request);
	if (r == -EINVAL)
		return;
	if (r == 0) {
		session_describe(session, "", journal.name);
		r = journal_forget(session->board, &journal);
	}
	session_send_exit(session, r < 0 ? VMM_GUEST_EXIT_NOT_MADE : VMM_GUEST_EXIT_OK, 0);
}
