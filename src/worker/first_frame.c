/*
 * SPDX-License-Identifier: MIT
 */
#include "worker/first_frame.h"

#include <errno.h>
#include <stdatomic.h>

#include "platform/clock.h"
#include "protocol/handshake.h"
#include "worker/crowd.h"

/* How long a connection has for its first frame while no worker is idle. The pool may
 * fill up later, so this is checked again at this interval. */
#define FIRST_FRAME_CROWDED_MS 1000

/* In the place of the number of the last quiesce: it is under way. */
#define FIRST_FRAME_QUIESCED UINT64_MAX

struct first_frame_limit {
	const struct scoreboard *board;
	uint64_t start_ms;
	uint64_t end_ms;
	uint64_t timeout_ms;
	uint64_t quiesce; /* the last one, or FIRST_FRAME_QUIESCED */
	bool can_park;	  /* a connection that says nothing */
	bool is_silent;	  /* it has said nothing, and is parked when others wait */
};

/* The number of the last quiesce if that is over. */
static uint64_t
first_frame_last_quiesce(const struct scoreboard *board)
{
	uint64_t number = quiesce_number(&board->quiesce);

	return quiesce_phase(&board->quiesce) == QUIESCE_NONE ? number : FIRST_FRAME_QUIESCED;
}

static bool
first_frame_is_over(struct first_frame_limit *limit)
{
	uint64_t now = clock_mono_ms();
	uint64_t quiesce = first_frame_last_quiesce(limit->board);

	/* While the guest is quiesced it does not run, and stands whole again after that. */
	if (quiesce == FIRST_FRAME_QUIESCED || quiesce != limit->quiesce)
		limit->end_ms = now + limit->timeout_ms;
	limit->quiesce = quiesce;
	if (now >= limit->end_ms)
		return true;
	return !limit->is_silent && now >= limit->start_ms + FIRST_FRAME_CROWDED_MS &&
	       scoreboard_count_idle(limit->board) == 0;
}

static uint64_t
first_frame_next_look(const struct first_frame_limit *limit)
{
	uint64_t look = clock_mono_ms() + FIRST_FRAME_CROWDED_MS;

	return look < limit->end_ms ? look : limit->end_ms;
}

/* Whether a call that gave R is to be made again. */
static bool
first_frame_goes_on(struct first_frame_limit *limit, ssize_t r)
{
	return r == -ETIMEDOUT && !first_frame_is_over(limit);
}

/* Waits for the first byte where there is none yet. Returns 0 when it is there, or if nothing is
 * parked and the wait is the caller's; -EAGAIN: the connection is to be parked; -EPIPE, -ETIMEDOUT
 * or -ECANCELED. */
static int
first_frame_await(struct session *session, struct first_frame_limit *limit)
{
	const uint8_t *bytes;
	int r;

	if (!limit->can_park || conn_peek(&session->conn, &bytes) > 0)
		return 0;
	r = conn_receive(&session->conn, crowd_first_look_ms(session->board));
	if (r != -ETIMEDOUT)
		return r;
	limit->is_silent = true;
	while (r == -ETIMEDOUT || r == -EINTR) {
		if (first_frame_is_over(limit))
			return -ETIMEDOUT;
		if (crowd_is_in_the_way(session))
			return -EAGAIN;
		r = conn_await(&session->conn, first_frame_next_look(limit));
	}
	limit->is_silent = false;
	crowd_end_silence(session);
	return r;
}

/* Reads the CONNECT line of a vsock device's socket, and answers it. */
static int
first_frame_shake_hands(struct session *session, const struct worker_settings *settings,
    struct first_frame_limit *limit, enum worker_port *ret_port)
{
	char answer[HANDSHAKE_LINE_MAX];
	const uint8_t *line;
	uint32_t port;
	size_t len;
	int r = first_frame_await(session, limit);

	if (r < 0)
		return r;
	for (;;) {
		len = conn_peek(&session->conn, &line);
		r = handshake_parse((const char *)line, len, &port, &len);
		if (r == 0)
			break;
		if (r == -EAGAIN)
			r = conn_receive(&session->conn, first_frame_next_look(limit));
		if (r < 0 && !first_frame_goes_on(limit, r))
			return r;
	}
	if (port != settings->exec_port && port != settings->file_port)
		return -EBADMSG;
	conn_skip(&session->conn, len);
	*ret_port = port == settings->file_port ? WORKER_PORT_FILE : WORKER_PORT_EXEC;
	len = handshake_format_ok(answer, sizeof(answer), port);
	return conn_send_raw(&session->conn, answer, len);
}

/* Drops a payload that no request may have. */
static int
first_frame_drop_payload(struct session *session, struct first_frame_limit *limit)
{
	const uint8_t *bytes;
	ssize_t n;

	do {
		n = conn_read_payload(&session->conn, first_frame_next_look(limit), &bytes);
	} while (n > 0 || first_frame_goes_on(limit, n));
	return (int)n;
}

static int
first_frame_read_frame(
    struct session *session, struct first_frame_limit *limit, struct first_frame *frame)
{
	struct frame_header header;
	const uint8_t *begun;
	ssize_t n;
	int r;

	do {
		r = conn_next_frame(&session->conn, first_frame_next_look(limit), &header);
	} while (first_frame_goes_on(limit, r));
	frame->is_begun = r == 0 || conn_peek(&session->conn, &begun) > 0;
	if (r < 0) {
		frame->type = frame->is_begun ? begun[0] : 0;
		return r;
	}
	frame->type = header.type;
	frame->is_too_long = header.len > VMM_GUEST_JSON_MAX;
	if (frame->is_too_long)
		return first_frame_drop_payload(session, limit);
	do {
		n = conn_read_whole(&session->conn, first_frame_next_look(limit), &frame->payload);
	} while (first_frame_goes_on(limit, n));
	if (n < 0)
		return (int)n;
	frame->len = (size_t)n;
	return 0;
}

int
first_frame_read(struct session *session, const struct worker_settings *settings, bool can_park,
    struct first_frame *ret)
{
	struct first_frame_limit limit = {
		.board = session->board,
		.start_ms = atomic_load(&session->slot->started_ms),
		.end_ms = ret->until_ms,
		.timeout_ms = (uint64_t)settings->first_frame_timeout_ms,
		.quiesce = first_frame_last_quiesce(session->board),
		.can_park = can_park,
	};
	int r = 0;

	*ret = (struct first_frame){ .port = ret->port };
	if (ret->port == WORKER_PORT_BY_HANDSHAKE)
		r = first_frame_shake_hands(session, settings, &limit, &ret->port);
	if (r == 0) {
		ret->is_file_port = ret->port == WORKER_PORT_FILE;
		atomic_store(&session->slot->reply_style,
		    ret->is_file_port ? SLOT_REPLY_FILE : SLOT_REPLY_UNKNOWN);
		r = first_frame_await(session, &limit);
	}
	if (r == 0)
		r = first_frame_read_frame(session, &limit, ret);
	ret->until_ms = limit.end_ms;
	return r;
}

int
first_frame_read_next(struct session *session, const struct worker_settings *settings,
    bool it_is_there, struct first_frame *ret)
{
	uint64_t timeout_ms = it_is_there ? 0 : (uint64_t)settings->first_frame_timeout_ms;
	uint64_t now = clock_mono_ms();
	struct first_frame_limit limit = {
		.board = session->board,
		.start_ms = now,
		.end_ms = now + timeout_ms,
		.timeout_ms = timeout_ms,
		.quiesce = first_frame_last_quiesce(session->board),
	};

	*ret = (struct first_frame){ .is_file_port = true };
	return first_frame_read_frame(session, &limit, ret);
}
