/*
 * file_write: WRITE of port 53: its course, and how the bytes come.
 *
 * SPDX-License-Identifier: MIT
 */
#include "session/file/write.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <unistd.h>

#include "platform/watchdog.h"
#include "protocol/file_entry.h"
#include "session/file/user.h"
#include "session/file/write_ahead.h"
#include "session/file/write_state.h"

static int
file_write_add(struct file_write *write, const uint8_t *bytes, size_t len)
{
	if (write->spool.fd >= 0)
		return fd_write_full(write->spool.fd, bytes, len);
	return file_in_place_add(&write->in_place, bytes, len);
}

/* Says why an upload was cut short: what is wrong in it, in words; else the path's error. */
static void
file_write_fail(struct file_write *write, int error)
{
	const struct frame_header *header = &write->header;
	struct session *session = write->session;
	uint64_t max = session->settings->max_file_bytes;

	/* What comes is no row of frames any more, or does not come. */
	if (error == -EMSGSIZE || error == -ETIMEDOUT)
		session->has_more = false;
	if (write->bad.code < 0)
		file_reply_text(session, error, "%s", write->bad.text);
	else if (error == -EFBIG && write->total > max)
		file_reply_text(session, error, "file too large (>%" PRIu64 " bytes)", max);
	else if (error == -EPROTO)
		file_reply_text(
		    session, error, "expected FILE_DATA or FILE_DONE, got 0x%02x", header->type);
	else if (error == -EMSGSIZE)
		file_reply_text(session, -EPROTO, "a frame of %" PRIu32 " bytes, the most is %u",
		    header->len, VMM_GUEST_FRAME_MAX);
	else if (error == -ETIMEDOUT)
		file_reply_text(session, error, "%s: nothing moved for %d s", write->path,
		    session->settings->stall_timeout_ms / 1000);
	else if (error == -ECANCELED)
		file_reply_text(session, error, "%s: the agent is shutting down", write->path);
	else
		file_reply_error(session, error, write->path);
}

/* Whether the file may have LEN bytes more. */
static int
file_write_check(struct file_write *write, uint64_t len)
{
	bool has_room = len <= write->session->settings->max_file_bytes - write->total;

	if (!has_room)
		write->total += len;
	return has_room ? 0 : -EFBIG;
}

/* The payload of a DATA frame of LEN bytes, and of those that have come behind it. */
static int
file_write_take(struct file_write *write, uint32_t len)
{
	struct session *session = write->session;
	uint64_t max = session->settings->max_file_bytes;
	const uint8_t *piece;
	ssize_t n = file_write_check(write, len);

	if (n < 0)
		return (int)n;
	while ((n = conn_read_joined(&session->conn, file_reply_deadline(session),
		    max - write->total, &piece)) > 0) {
		int r = file_write_add(write, piece, (size_t)n);

		if (r < 0)
			return r;
		write->total += (uint64_t)n;
		watchdog_ping();
	}
	return (int)n;
}

/* LEN zeros that are not written where the file needs none to be. */
static int
file_write_skip(struct file_write *write, uint64_t len)
{
	off_t end = (off_t)(write->total + len);
	int r = 0;

	if (write->spool.fd >= 0)
		return ftruncate(write->spool.fd, end) < 0 ||
			       lseek(write->spool.fd, end, SEEK_SET) < 0
			   ? -errno
			   : 0;
	while (r == 0 && len > 0) {
		size_t step = len < VMM_GUEST_DATA_MAX ? (size_t)len : VMM_GUEST_DATA_MAX;

		r = file_in_place_add(&write->in_place, NULL, step);
		len -= step;
		watchdog_ping();
		/* It may be long, and no other frame is looked for. */
		if (r == 0)
			r = file_reply_check(write->session);
	}
	return r;
}

/* The payload of a FILE_STAT frame: a hole. */
static int
file_write_take_hole(struct file_write *write)
{
	struct session *session = write->session;
	const uint8_t *text;
	uint64_t hole;
	ssize_t n = conn_read_whole(&session->conn, file_reply_deadline(session), &text);
	int r;

	if (n < 0)
		return n == -EMSGSIZE ? -EPROTO : (int)n;
	r = file_hole_parse((const char *)text, (size_t)n, &hole, &write->bad);
	if (r == 0)
		r = file_write_check(write, hole);
	if (r == 0)
		r = file_write_skip(write, hole);
	if (r == 0)
		write->total += hole;
	watchdog_ping();
	return r;
}

int
file_write_receive(struct file_write *write)
{
	struct frame_header *header = &write->header;
	struct session *session = write->session;
	int r;

	for (;;) {
		*header = (struct frame_header){ 0 };
		r = conn_next_frame(&session->conn, file_reply_deadline(session), header);
		if (r < 0)
			return r;
		if (header->type == VMM_GUEST_FILE_DONE)
			return 0;
		if (header->type == VMM_GUEST_FILE_STAT)
			r = file_write_take_hole(write);
		else
			r = header->type == VMM_GUEST_FILE_DATA
				? file_write_take(write, header->len)
				: -EPROTO;
		if (r < 0)
			return r;
	}
}

/* Drops the rest of an upload behind which other requests come. Returns whether it came. */
static bool
file_write_drop(struct session *session)
{
	struct frame_header header = { 0 };
	const uint8_t *ignored;
	ssize_t n = 0;

	while (n == 0 && header.type != VMM_GUEST_FILE_DONE) {
		do {
			n = conn_read_payload(
			    &session->conn, file_reply_deadline(session), &ignored);
		} while (n > 0);
		if (n == 0)
			n = conn_next_frame(&session->conn, file_reply_deadline(session), &header);
	}
	return n == 0;
}

static void
file_write_discard(struct session *session)
{
	/* What follows touches no file. */
	watchdog_set(0);
	if (session->goes_on)
		session->goes_on = file_write_drop(session);
	else
		session_discard_upload(session, VMM_GUEST_DISCARD_MS);
}

static int
file_write_run(struct file_write *write)
{
	int r;

	if (file_write_ahead(write, &r))
		return r;
	r = file_place_open(write->path, FILE_PLACE_FOLLOW | FILE_PLACE_MAKE_DIRS, &write->place);
	if (r == 0)
		r = file_write_begin(write);
	if (r == 0)
		r = file_write_receive(write);
	if (r < 0)
		return r;
	write->whole = true;
	write->session->is_uploading = false;
	return file_write_commit(write);
}

int
file_write_done(struct file_write *write, int error)
{
	int r = file_in_place_close(&write->in_place);

	file_replace_abort(&write->spool);
	file_place_close(&write->place);
	return error < 0 ? error : r;
}

/* Returns 0 with the outcome in *RET; else FILE_ERR has been sent. */
static int
file_write_as_user(struct file_write *write, int *ret)
{
	struct file_user FILE_USER_SCOPE user = { .entered = false };
	int r = file_user_enter(&user, write->session, write->request->user);

	if (r < 0)
		return r;
	session_describe(write->session, write->request->user, write->path);
	*ret = file_write_done(write, file_write_run(write));
	return 0;
}

/* Answers when no file is open any more: the host may run what it has sent, or
 * unmount it, at once. Returns 0 if DONE has come; else what was sent is an early
 * error, and the rest of the upload is still to be dropped. */
static int
file_write_request(struct session *session, const struct file_request *request)
{
	char path[PATH_MAX];
	struct file_write write = {
		.session = session,
		.request = request,
		.path = path,
		.place = FILE_PLACE_NONE,
		.spool = FILE_REPLACE_NONE,
		.in_place = FILE_IN_PLACE_NONE,
	};
	int outcome = 0;
	int r = file_reply_path(session, request->path, path);

	if (r == 0)
		r = file_write_as_user(&write, &outcome);
	if (r < 0)
		return r;
	if (outcome < 0)
		file_write_fail(&write, outcome);
	else
		file_reply_ack(session);
	return write.whole ? 0 : outcome;
}

void
file_write_serve(struct session *session, uint8_t type, const uint8_t *payload, size_t len)
{
	struct file_request request = { 0 };
	int r;

	session->is_uploading = true;
	r = file_reply_parse(session, type, payload, len, &request);
	if (r == 0)
		r = file_write_request(session, &request);
	file_request_done(&request);
	if (r < 0)
		file_write_ahead_leave();
	/* EPIPE of a file system was answered, and that of the connection was not. */
	if (r < 0 && (r != -EPIPE || session->goes_on))
		file_write_discard(session);
}
