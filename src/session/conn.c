/*
 * conn: the connection of one session: its buffer, and what is received. What is
 * sent is conn_send.c's, the end conn_end.c's.
 *
 * SPDX-License-Identifier: MIT
 */
#include "session/conn.h"

#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>

#include "platform/clock.h"
#include "platform/fd.h"
#include "platform/io_error.h"
#include "platform/log.h"
#include "platform/memory.h"
#include "session/conn_wait.h"
#include "session/rest.h"
#include "session/stop.h"

#define CONN_PAGE 4096

/* The receive buffer takes a whole JSON payload; larger ones are seen in pieces. */
#define CONN_RX_SIZE (VMM_GUEST_JSON_MAX + CONN_PAGE)

/* Where a header comes next, little is asked for: small frames come together, and
 * the payload of a large one then comes by itself, to an aligned address. */
#define CONN_RECV_HEADERS 4096

/* The most that one recv(2) takes: a session touches few pages. */
#define CONN_RECV_MAX (256u * 1024)

/* Frames below this are received many at a time, while the host sends them faster than they
 * are taken: what a call costs is then more than what an unaligned copy does. */
#define CONN_SMALL 16384

/* What a session may leave in memory for the next one, above which it is given
 * back to the kernel. */
#define CONN_RX_KEPT (128u * 1024 + CONN_PAGE)

static MEMORY_LARGE _Alignas(CONN_PAGE) uint8_t conn_rx[CONN_RX_SIZE];

/* FILE_ERR with a path is shorter. */
#define CONN_ANSWER_MAX 8192

/* The highest byte of conn_rx that was written since it was last given back. */
static size_t conn_rx_touched;

void
conn_init(
    struct conn *conn, int fd, struct slot *slot, const struct scoreboard *board, int stall_ms)
{
	*conn = (struct conn){
		.fd = fd,
		.rx = { .buffer = conn_rx, .size = CONN_RX_SIZE },
		.slot = slot,
		.board = board,
		.stall_ms = stall_ms,
		.room = CONN_ROOM,
		.send_max = SIZE_MAX,
		.lack.max_ms = stall_ms,
	};
}

void
conn_be_patient(struct conn *conn)
{
	conn->is_patient = true;
}

void
conn_set_room(struct conn *conn, size_t room)
{
	conn->room = room < CONN_ROOM ? room : CONN_ROOM;
	conn->room_is_renewed = true;
}

bool
conn_has_answer_room(const struct conn *conn)
{
	return conn->room_is_renewed || conn->room >= CONN_ANSWER_MAX;
}

void
conn_close(struct conn *conn)
{
	fd_close(&conn->fd);
	conn_tx_give_back(conn);
	if (conn_rx_touched > CONN_RX_KEPT) {
		memory_give_back(conn_rx + CONN_RX_KEPT, CONN_RX_SIZE - CONN_RX_KEPT);
		conn_rx_touched = CONN_RX_KEPT;
	}
}

/* Of a large payload no more than the header behind it, which leaves the buffer
 * empty for the next payload: it lands at an aligned address, whole. */
static size_t
conn_recv_limit(const struct conn *conn)
{
	size_t missing = frame_reader_missing(&conn->rx);

	if (conn->is_behind && conn->frame.len < CONN_SMALL)
		return CONN_RECV_MAX;
	if (missing < CONN_RECV_HEADERS)
		return CONN_RECV_HEADERS;
	return missing <= CONN_RECV_MAX ? missing + VMM_GUEST_HEADER_LEN : CONN_RECV_MAX;
}

ssize_t
conn_fill(struct conn *conn)
{
	size_t limit = conn_recv_limit(conn);
	uint8_t *place;
	size_t room = frame_reader_room(&conn->rx, &place);
	ssize_t n;

	if (room == 0)
		return 0;
	if (room > limit)
		room = limit;
	do {
		n = recv(conn->fd, place, room, MSG_DONTWAIT);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return conn_bear(conn, errno == EAGAIN ? EAGAIN : conn_tell_reset(conn, errno));
	if (n == 0)
		return -EPIPE;
	if (conn->send_max == SIZE_MAX)
		conn->lack.since_ms = 0;
	conn->is_behind = n >= CONN_RECV_HEADERS;
	frame_reader_received(&conn->rx, (size_t)n);
	if (conn->rx.tail > conn_rx_touched)
		conn_rx_touched = conn->rx.tail;
	return n;
}

int
conn_parse_header(struct conn *conn, struct frame_header *ret)
{
	int r = frame_reader_next(&conn->rx, ret);

	if (r < 0)
		return r;
	conn->frame = *ret;
	conn->saw_eof_frame |= ret->type == VMM_GUEST_EOF;
	atomic_store_explicit(&conn->slot->bytes_in,
	    atomic_load_explicit(&conn->slot->bytes_in, memory_order_relaxed) + ret->len,
	    memory_order_relaxed);
	return 0;
}

size_t
conn_take(struct conn *conn, size_t max, const uint8_t **ret)
{
	return frame_reader_take(&conn->rx, max, ret);
}

size_t
conn_take_joined(struct conn *conn, size_t max, const uint8_t **ret)
{
	size_t len = conn_take(conn, max, ret);
	struct frame_header next;

	while (!conn_in_payload(conn) && frame_reader_look(&conn->rx, &next) == 0 &&
	       next.type == conn->frame.type && next.len <= max - len) {
		(void)conn_parse_header(conn, &next);
		len += frame_reader_join(&conn->rx, *ret, len);
	}
	return len;
}

/* Passes over the next frame of RX, if it has come whole. */
static bool
conn_pass(struct frame_reader *rx, struct frame_header *ret)
{
	if (frame_reader_next(rx, ret) < 0 || frame_reader_missing(rx) > 0)
		return false;
	frame_reader_skip(rx, ret->len);
	return true;
}

bool
conn_has_upload(const struct conn *conn, uint8_t request)
{
	struct frame_reader rx = conn->rx;
	struct frame_header header = { .type = request };
	bool is_whole = !conn_in_payload(conn);

	if (request != 0)
		is_whole = is_whole && conn_pass(&rx, &header) && header.type == request;
	is_whole = is_whole && conn_pass(&rx, &header);

	if (is_whole && header.type == VMM_GUEST_FILE_DATA)
		is_whole = conn_pass(&rx, &header);
	return is_whole && header.type == VMM_GUEST_FILE_DONE;
}

struct conn_mark
conn_tell(const struct conn *conn)
{
	return (struct conn_mark){ .head = conn->rx.head,
		.bytes_in = atomic_load(&conn->slot->bytes_in) };
}

void
conn_go_back(struct conn *conn, struct conn_mark mark)
{
	conn->rx.head = mark.head;
	conn->rx.payload_left = 0;
	atomic_store(&conn->slot->bytes_in, mark.bytes_in);
}

void
conn_take_head(struct conn *conn, uint8_t *head, size_t size, size_t *len)
{
	const uint8_t *bytes;
	size_t n;

	while ((n = conn_take(conn, SIZE_MAX, &bytes)) > 0) {
		if (n > size - *len)
			n = size - *len;
		memcpy(head + *len, bytes, n);
		*len += n;
	}
}

void
conn_lose_track(struct conn *conn)
{
	frame_reader_lose_track(&conn->rx);
}

int
conn_tell_reset(const struct conn *conn, int error)
{
	static struct log_limit limit = { .burst = 3, .period_ms = 60000 };
	int reset = 0;
	socklen_t len = sizeof(reset);

	(void)getsockopt(conn->fd, SOL_SOCKET, SO_ERROR, &reset, &len);
	if (reset == 0 && error == ECONNRESET)
		reset = error;
	if (reset != 0 && !conn->tx_last)
		log_limited(&limit, "the connection was reset: %s%s", strerror(reset),
		    reset == ENOBUFS ? ": too many small packets waited to be read" : "");
	return reset != 0 ? EPIPE : error;
}

int
conn_bear(struct conn *conn, int error)
{
	switch (io_error_read(IO_CONNECTION, error)) {
	case IO_NOT_NOW:
		return -EAGAIN;
	case IO_AGAIN:
		return -EINTR;
	case IO_NO_MEMORY:
		return io_lack_bear(&conn->lack) ? -EAGAIN : -EPIPE;
	case IO_GONE:
	case IO_BROKEN:
		break;
	}
	return -EPIPE;
}

int
conn_wait(struct conn *conn, short events, bool can_stop, uint64_t deadline_ms, short *ret_shown)
{
	struct pollfd wait = { .fd = conn->fd, .events = events };
	int n;

	rest_point();
	if (can_stop && stop_is_now())
		return -ECANCELED;
	n = stop_poll(&wait, 1, deadline_ms, can_stop);
	if (n < 0 && errno == EINTR)
		return can_stop && stop_is_now() ? -ECANCELED : -EINTR;
	/* The kernel has no memory for the wait itself. */
	if (n < 0)
		io_error_pause();
	if (n < 0)
		return clock_mono_ms() < deadline_ms ? -EINTR : -ETIMEDOUT;
	if (n == 0)
		return -ETIMEDOUT;
	*ret_shown = wait.revents;
	return 0;
}

int
conn_await(struct conn *conn, uint64_t deadline_ms)
{
	short shown;

	return conn_wait(conn, POLLIN, true, deadline_ms, &shown);
}

int
conn_fill_wait(struct conn *conn, bool can_stop, uint64_t deadline_ms)
{
	for (;;) {
		ssize_t n = conn_fill(conn);
		short shown;
		int r;

		if (n > 0)
			return 0;
		if (n != -EAGAIN)
			return n == 0 ? -EMSGSIZE : (int)n;
		r = conn_wait(conn, POLLIN, can_stop, deadline_ms, &shown);
		if (r < 0 && r != -EINTR)
			return r;
	}
}

int
conn_next_frame(struct conn *conn, uint64_t deadline_ms, struct frame_header *ret)
{
	const uint8_t *ignored;
	ssize_t n;
	int r;

	do {
		n = conn_read_payload(conn, deadline_ms, &ignored);
		if (n < 0)
			return (int)n;
	} while (n > 0);
	while ((r = conn_parse_header(conn, ret)) == -EAGAIN) {
		r = conn_fill_wait(conn, true, deadline_ms);
		if (r < 0)
			return r;
	}
	return r;
}

/* Waits until some of the frame's payload stands in the buffer, if any is left. */
static int
conn_await_payload(struct conn *conn, uint64_t deadline_ms)
{
	/* Many pieces may stand in the buffer. */
	rest_point();
	if (!conn_in_payload(conn) || conn->rx.head < conn->rx.tail)
		return 0;
	return conn_fill_wait(conn, true, deadline_ms);
}

ssize_t
conn_read_payload(struct conn *conn, uint64_t deadline_ms, const uint8_t **ret)
{
	int r = conn_await_payload(conn, deadline_ms);

	return r < 0 ? r : (ssize_t)conn_take(conn, SIZE_MAX, ret);
}

ssize_t
conn_read_joined(struct conn *conn, uint64_t deadline_ms, size_t max, const uint8_t **ret)
{
	int r = conn_await_payload(conn, deadline_ms);

	return r < 0 ? r : (ssize_t)conn_take_joined(conn, max, ret);
}

ssize_t
conn_read_whole(struct conn *conn, uint64_t deadline_ms, const uint8_t **ret)
{
	if (conn->rx.payload_left > VMM_GUEST_JSON_MAX)
		return -EMSGSIZE;
	while (frame_reader_missing(&conn->rx) > 0) {
		int r = conn_fill_wait(conn, true, deadline_ms);

		if (r < 0)
			return r;
	}
	return (ssize_t)conn_take(conn, SIZE_MAX, ret);
}

size_t
conn_peek(const struct conn *conn, const uint8_t **ret)
{
	return frame_reader_peek(&conn->rx, ret);
}

int
conn_receive(struct conn *conn, uint64_t deadline_ms)
{
	return conn_fill_wait(conn, true, deadline_ms);
}

void
conn_skip(struct conn *conn, size_t len)
{
	frame_reader_skip(&conn->rx, len);
}
