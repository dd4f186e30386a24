/*
 * session: how a session ends, in the words that every kind shares.
 *
 * SPDX-License-Identifier: MIT
 */
#include "session/session.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "platform/fdpass.h"
#include "platform/io_error.h"
#include "platform/log.h"
#include "platform/text.h"
#include "protocol/json.h"
#include "session/rest.h"
#include "session/stop.h"
#include "shared/admission.h"

/* The agent's own words to the host; longer ones are cut. */
#define SESSION_TEXT_MAX 512

void
session_refuse_exec(struct session *session, int code, const char *format, ...)
{
	char text[SESSION_TEXT_MAX];
	va_list args;
	size_t len;

	va_start(args, format);
	len = text_format_args(text, sizeof(text) - 1, format, args);
	va_end(args);
	text[len++] = '\n';
	conn_be_patient(&session->conn);
	if (conn_send(&session->conn, VMM_GUEST_STDERR, text, len) < 0)
		return;
	session_send_exit(session, code, 0);
}

void
session_refuse(struct session *session, _Atomic uint64_t *count, int error, const char *format, ...)
{
	char text[SESSION_TEXT_MAX];
	size_t file_len;
	va_list args;

	if (count != NULL)
		(void)atomic_fetch_add(count, 1);
	if (error == -ENOMEM)
		session->is_last = true;
	file_len = text_format(text, sizeof(text), "%s: ", io_error_name(error));
	va_start(args, format);
	(void)text_format_args(text + file_len, sizeof(text) - file_len, format, args);
	va_end(args);
	switch (atomic_load(&session->slot->reply_style)) {
	case SLOT_REPLY_EXEC:
	case SLOT_REPLY_ATTACH:
		session_refuse_exec(session, VMM_GUEST_EXIT_AGENT, "%s", text + file_len);
		break;
	case SLOT_REPLY_CONTROL:
		session_send_exit(session, VMM_GUEST_EXIT_CONTROL_FAILED, 0);
		log_warnx("%s", text + file_len);
		break;
	case SLOT_REPLY_FILE:
		(void)session_send_last(session, VMM_GUEST_FILE_ERR, text, strlen(text));
		break;
	default:
		break;
	}
}

void
session_refuse_bad(struct session *session, const char *name, const struct json_error *error)
{
	session_refuse(session, &session->board->counts.bad_requests, error->code, "bad %s: %s",
	    name, error->text);
}

void
session_discard_upload(struct session *session, int max_ms)
{
	/* It is the last that is said: a host that waits for our end sees it. */
	conn_shut_down(&session->conn);
	conn_discard(&session->conn, max_ms, VMM_GUEST_FILE_DONE);
}

int
session_send_held(struct session *session)
{
	uint8_t frames[SLOT_HELD_LEN];
	uint8_t count = session->held;

	if (count == 0)
		return 0;
	/* While we rest they are still known to the supervisor. */
	rest_point();
	/* Sent a second time, by the supervisor, they would be taken for the answers to what
	 * was not begun. */
	session->held = 0;
	atomic_store(&session->slot->held, 0);
	return conn_send_batch(&session->conn, frames, slot_format_held(count, frames), count);
}

/* Whether this answer is held back. */
static bool
session_holds(struct session *session, uint8_t type)
{
	uint8_t count = session->held;

	if (type != VMM_GUEST_FILE_ACK || count == SLOT_HELD_MAX ||
	    !conn_has_upload(&session->conn, VMM_GUEST_FILE_WRITE_REQ))
		return false;
	session->held = (uint8_t)(count + 1);
	atomic_store(&session->slot->held, session->held);
	return true;
}

/* Answers a request behind which others may stand, as any other frame is sent: what the
 * supervisor sent a second time the host would take for the next one's answer. */
static int
session_send_answer(struct session *session, uint8_t type, const void *payload, size_t len)
{
	int r;

	if (!session->is_uploading)
		admission_free(session->board, session->slot_index);
	if (session_holds(session, type)) {
		session->goes_on = true;
		return 0;
	}
	r = session_send_held(session);
	if (r == 0)
		r = conn_send(&session->conn, type, payload, len);
	session->goes_on = r == 0;
	/* From here on nothing is owed. */
	if (r == 0)
		atomic_store(&session->slot->phase, SLOT_LAST_SENT);
	return r;
}

int
session_send_last(struct session *session, uint8_t type, const void *payload, size_t len)
{
	int r;

	/* At rest it keeps its place. */
	rest_point();
	if (session->has_more && !stop_is_now())
		return session_send_answer(session, type, payload, len);
	(void)session_send_held(session);
	admission_free(session->board, session->slot_index);
	r = conn_send_last(&session->conn, type, payload, len);
	rest_leave();
	return r;
}

/* While a duplicate is under way, each close of a Unix socket on the machine has the kernel
 * look for cycles of them, in another thread that somebody waits for. */
void
session_drop_duplicate(struct session *session)
{
	int r = 0;

	if (session->duplicates_fd >= 0)
		r = fdpass_drop(session->duplicates_fd);
	/* In front of the next session's it would be taken for that; and its host waits for
	 * the end. The supervisor closes what we leave behind. */
	session->has_left_duplicate = r < 0 && r != -EAGAIN;
}

void
session_send_exit(struct session *session, int32_t code, int32_t signal)
{
	uint8_t payload[VMM_GUEST_EXIT_LEN];

	frame_exit_format(payload, (struct frame_exit){ .code = code, .signal = signal });
	/* A host may pause for as long as it likes, and what it gets then must end in
	 * EXIT; meanwhile the session keeps its admission. */
	conn_be_patient(&session->conn);
	if (conn_await_room(&session->conn) < 0)
		return;
	(void)session_send_last(session, VMM_GUEST_EXIT, payload, sizeof(payload));
}

bool
session_send_status(struct session *session, char *text, size_t len)
{
	int r;

	if (text == NULL) {
		session_send_exit(session, VMM_GUEST_EXIT_CONTROL_FAILED, 0);
		return false;
	}
	r = conn_send(&session->conn, VMM_GUEST_STATUS, text, len);
	free(text);
	return r == 0;
}

void
session_set_name(struct session *session, const char *name)
{
	(void)strlcpy(session->slot->name, name, sizeof(session->slot->name));
	log_set_session_name(name);
}

void
session_format_instance(const struct session *session, char text[VMM_GUEST_INSTANCE_LEN + 1])
{
	static const char digits[] = "0123456789abcdef";
	const uint8_t *instance = session->board->instance;

	for (int i = 0; i < SCOREBOARD_INSTANCE_LEN; i++) {
		text[2 * i] = digits[instance[i] >> 4];
		text[2 * i + 1] = digits[instance[i] & 0xf];
	}
	text[VMM_GUEST_INSTANCE_LEN] = '\0';
}

void
session_describe(struct session *session, const char *user, const char *command)
{
	(void)strlcpy(session->slot->user, user, sizeof(session->slot->user));
	(void)strlcpy(session->slot->command, command, sizeof(session->slot->command));
}
