/*
 * SPDX-License-Identifier: MIT
 */
#include "session/control/thaw.h"

#include <errno.h>

#include "platform/clock.h"
#include "protocol/quiesce_request.h"

/* A file system that is thawed may wait for its disk: how long that is waited for, but for no more
 * than one look while no worker is idle. */
#define THAW_LOOK_MS 1000
#define THAW_LOOKS_MAX 60

static int
thaw_make(struct scoreboard *board)
{
	int looks = 0;
	int r;

	do {
		r = quiesce_ask_and_wait(&board->quiesce, QUIESCE_ASK_THAW, QUIESCE_THAW_THAW,
		    board->quiesce_bell_fd, clock_mono_ms() + THAW_LOOK_MS);
	} while (r == -ETIMEDOUT && ++looks < THAW_LOOKS_MAX && scoreboard_count_idle(board) > 0);
	/* It may have come between two looks. */
	return looks > 0 && r == -ENODATA ? 0 : r;
}

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
	r = thaw_make(session->board);
	if (r == -ENODATA)
		code = VMM_GUEST_EXIT_NOT_MADE;
	else if (r < 0)
		code = VMM_GUEST_EXIT_CONTROL_FAILED;
	session_send_exit(session, code, 0);
}
