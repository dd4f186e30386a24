/*
 * SPDX-License-Identifier: MIT
 */
#include "session/control/shutdown.h"

#include <poll.h>
#include <stdatomic.h>

#include "platform/bell.h"
#include "protocol/control_request.h"
#include "session/stop.h"

#define SHUTDOWN_MS_PER_S 1000

/* How long we wait for the host, which holds its end open until it has seen ours close. */
#define SHUTDOWN_HOST_MS 1000

void
shutdown_serve(struct session *session, uint8_t type, const uint8_t *payload, size_t len)
{
	struct control_shutdown request;
	struct json_error error;
	uint64_t grace_ms;
	uint32_t stage;

	(void)type;
	if (control_shutdown_parse((const char *)payload, len, &request, &error) < 0) {
		session_refuse_bad(session, "SHUTDOWN", &error);
		return;
	}
	grace_ms = (uint64_t)request.grace_seconds * SHUTDOWN_MS_PER_S;
	atomic_store(&session->slot->asks_end, 1);
	/* Of several at once the first is carried out; all get their answer. The first
	 * worker may have died before it could ring. */
	scoreboard_ask_end(session->board, (uint8_t)request.action,
	    grace_ms < UINT32_MAX ? (uint32_t)grace_ms : UINT32_MAX);
	bell_ring(session->board->bell_fd);
	/* Its signals tell us of each stage. They are blocked but for this wait. */
	while ((stage = atomic_load(&session->board->shutdown.stage)) < SCOREBOARD_LAST_WORDS)
		(void)ppoll(NULL, 0, NULL, stop_wait_mask());
	session_send_exit(session,
	    stage == SCOREBOARD_LAST_WORDS ? VMM_GUEST_EXIT_OK : VMM_GUEST_EXIT_NOT_MADE, 0);
	conn_hang_up(&session->conn, SHUTDOWN_HOST_MS);
}
