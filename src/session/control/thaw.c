/*
 * SPDX-License-Identifier: MIT
 */
#include "session/control/thaw.h"

#include <errno.h>

#include "platform/clock.h"
#include "protocol/quiesce_request.h"

/* A file system that is thawed may wait for its disk. */
#define THAW_WAIT_MS 60000

void
thaw_serve(struct session *session, uint8_t type, const uint8_t *payload, size_t len)
{
	struct json_error error;
	int32_t code = VMM_GUEST_EXIT_OK;
	int r;

	(void)type;
	if (quiesce_thaw_parse((const char *)payload, len, &error) < 0) {
		session_refuse_bad(session, "THAW", &error);
		return;
	}
	r = quiesce_ask_and_wait(&session->board->quiesce, QUIESCE_ASK_THAW, QUIESCE_THAW_THAW,
	    session->board->quiesce_bell_fd, clock_mono_ms() + THAW_WAIT_MS);
	if (r == -ENODATA)
		code = VMM_GUEST_EXIT_NOT_MADE;
	else if (r < 0)
		code = VMM_GUEST_EXIT_CONTROL_FAILED;
	session_send_exit(session, code, 0);
}
