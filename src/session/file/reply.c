/*
 * file_reply: how a file session answers.
 *
 * SPDX-License-Identifier: MIT
 */
#include "session/file/reply.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "platform/clock.h"
#include "platform/io_error.h"
#include "platform/text.h"
#include "platform/watchdog.h"
#include "session/file/path.h"
#include "session/stop.h"

/* A path, and what is said of it. */
#define FILE_REPLY_TEXT_MAX (PATH_MAX + 256)

void
file_reply_begin_flush(const struct session *session)
{
	atomic_store(&session->slot->is_flushing, 1);
}

void
file_reply_ack(struct session *session)
{
	(void)session_send_last(session, VMM_GUEST_FILE_ACK, NULL, 0);
}

/* Cuts TEXT of LEN bytes at MAX, between two characters of UTF-8. */
static size_t
file_reply_cut(const char *text, size_t len, size_t max)
{
	if (len <= max)
		return len;
	len = max;
	while (len > 0 && ((unsigned char)text[len] & 0xc0) == 0x80)
		len--;
	return len;
}

void
file_reply_text(struct session *session, int error, const char *format, ...)
{
	char text[FILE_REPLY_TEXT_MAX];
	size_t len;
	va_list args;
	int n;

	/* A file system of the guest's may say EPIPE too. */
	if (error == -EPIPE && file_reply_check(session) == -EPIPE)
		return;
	len = text_format(text, sizeof(text), "%s: ", io_error_name(error));
	va_start(args, format);
	n = vsnprintf(text + len, sizeof(text) - len, format, args);
	va_end(args);
	if (n > 0)
		len = file_reply_cut(text, len + (size_t)n, sizeof(text) - 1);
	(void)session_send_last(session, VMM_GUEST_FILE_ERR, text, len);
}

void
file_reply_error(struct session *session, int error, const char *path)
{
	file_reply_text(session, error, "%s", path);
}

int
file_reply_parse(struct session *session, uint8_t type, const uint8_t *payload, size_t len,
    struct file_request *ret)
{
	struct json_error error = { .text = "" };
	int r = file_request_parse(type, (const char *)payload, len, ret, &error);

	session->has_more = ret->more;
	if (r == 0) {
		if (session->settings->stall_timeout_ms > 0)
			watchdog_set((uint32_t)session->settings->stall_timeout_ms);
		return 0;
	}
	session_refuse(session, &session->board->counts.bad_requests, r, "%s", error.text);
	return r;
}

int
file_reply_path(struct session *session, const char *given, char *ret)
{
	int r = file_path_parse(given, ret);

	if (r == 0)
		return 0;
	if (r == -EINVAL)
		file_reply_text(session, r, "path: it is empty");
	else
		file_reply_text(
		    session, r, "path: %zu bytes, the most is %d", strlen(given), PATH_MAX - 1);
	return -EINVAL;
}

int
file_reply_check(struct session *session)
{
	struct pollfd host = { .fd = conn_fd(&session->conn), .events = POLLRDHUP };
	const struct timespec now = { 0 };
	int n = ppoll(&host, 1, &now, stop_wait_mask());

	if (stop_is_now())
		return -ECANCELED;
	return n > 0 ? -EPIPE : 0;
}

uint64_t
file_reply_deadline(const struct session *session)
{
	int stall_ms = session->settings->stall_timeout_ms;

	return stall_ms < 0 ? CLOCK_NEVER : clock_mono_ms() + (uint64_t)stall_ms;
}
