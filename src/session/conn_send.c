/*
 * conn_send: what is sent on the connection of a session: frames, whole.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "platform/clock.h"
#include "platform/io_error.h"
#include "platform/memory.h"
#include "session/conn_note.h"
#include "session/conn_wait.h"
#include "session/rest.h"

#define CONN_PAGE 4096

/* What a session may leave in memory for the next one: what most read of a pipe at once. */
#define CONN_TX_KEPT (64u * 1024)

static MEMORY_LARGE _Alignas(CONN_PAGE) uint8_t conn_tx[CONN_PAYLOAD_OFFSET + VMM_GUEST_DATA_MAX];

uint8_t *
conn_tx_buffer(void)
{
	return conn_tx + CONN_PAYLOAD_OFFSET;
}

void
conn_tx_give_back(const struct conn *conn)
{
	uint8_t *kept_end = conn_tx_buffer() + CONN_TX_KEPT;

	if (conn->tx_most > CONN_TX_KEPT)
		memory_give_back(kept_end, sizeof(conn_tx) - (size_t)(kept_end - conn_tx));
}

/* All that is under way has been sent, or a piece of it. While memory was lacking the
 * pieces were small; they grow again. */
static void
conn_has_sent(struct conn *conn, size_t len)
{
	conn->lack.since_ms = 0;
	if (conn->send_max < VMM_GUEST_DATA_MAX)
		conn->send_max *= 2;
	else
		conn->send_max = SIZE_MAX;
	conn_note_sent(conn, len);
}

/* What did not go, with errno set, is to be waited for: -EAGAIN; to be sent again:
 * -EINTR; or nobody takes it any more: -EPIPE. */
static int
conn_has_failed(struct conn *conn)
{
	int r = conn_bear(conn, errno == EAGAIN ? EAGAIN : conn_tell_reset(conn, errno));

	if (r != -EAGAIN)
		return r;
	conn_note_waiting(conn);
	if (conn->lack.since_ms == 0)
		conn->waited_ms = clock_mono_ms();
	else
		conn->send_max = IO_NO_MEMORY_LEN;
	return r;
}

void
conn_begin_push(struct conn *conn, uint8_t type, size_t len, bool last)
{
	uint8_t *payload = conn_tx_buffer();

	frame_header_format(payload - VMM_GUEST_HEADER_LEN, type, (uint32_t)len);
	conn->tx_head = CONN_PAYLOAD_OFFSET - VMM_GUEST_HEADER_LEN;
	conn->tx_tail = CONN_PAYLOAD_OFFSET + len;
	(void)conn_note_begin(conn, payload - VMM_GUEST_HEADER_LEN, payload, len, last);
}

int
conn_push(struct conn *conn)
{
	if (conn->is_broken)
		return -EPIPE;
	while (conn->tx_head < conn->tx_tail) {
		size_t len = conn->tx_tail - conn->tx_head;
		ssize_t n;

		if (len > conn->send_max)
			len = conn->send_max;
		conn_note_try(conn, len);
		n = send(conn->fd, conn_tx + conn->tx_head, len, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n < 0) {
			int r = conn_has_failed(conn);

			if (r == -EINTR)
				continue;
			conn->is_broken = r == -EPIPE;
			return r;
		}
		conn->tx_head += (size_t)n;
		conn_has_sent(conn, (size_t)n);
	}
	return 0;
}

void
conn_stop_pushing(struct conn *conn)
{
	conn->is_broken |= conn_is_in_frame(conn);
	conn->tx_head = conn->tx_tail;
}

/* Waits until the host takes bytes again. */
static int
conn_wait_for_host(struct conn *conn, int stall_ms)
{
	uint64_t deadline = stall_ms < 0 ? CLOCK_NEVER : clock_mono_ms() + (uint64_t)stall_ms;
	short shown = 0;
	int r;

	do {
		r = conn_wait(conn, POLLOUT | POLLRDHUP, false, deadline, &shown);
	} while (r == -EINTR);
	conn->waited_ms = clock_mono_ms();
	if (r < 0)
		return r;
	return shown & (POLLRDHUP | POLLHUP | POLLERR) ? -EPIPE : 0;
}

bool
conn_has_room(struct conn *conn)
{
	struct pollfd look = { .fd = conn->fd, .events = POLLOUT };

	conn->has_room = poll(&look, 1, 0) > 0 && (look.revents & POLLOUT) != 0;
	return conn->has_room;
}

int
conn_await_room(struct conn *conn)
{
	return conn->has_room || conn_has_room(conn) ? 0 : conn_wait_for_host(conn, -1);
}

/* Moves the start of the COUNT pieces N bytes on. */
static void
conn_advance(struct iovec *pieces, size_t count, size_t n)
{
	for (size_t i = 0; i < count && n > 0; i++) {
		size_t step = n < pieces[i].iov_len ? n : pieces[i].iov_len;

		pieces[i].iov_base = (char *)pieces[i].iov_base + step;
		pieces[i].iov_len -= step;
		n -= step;
	}
}

/* Sends all of the two PIECES at once, or of the first that is not empty as much as may
 * be sent at once. LEN is what both have. */
static ssize_t
conn_send_once(struct conn *conn, struct iovec *pieces, size_t len)
{
	struct msghdr message = { .msg_iov = pieces, .msg_iovlen = 2 };
	struct iovec part;

	if (len > conn->send_max) {
		part = pieces[pieces[0].iov_len > 0 ? 0 : 1];
		if (part.iov_len > conn->send_max)
			part.iov_len = conn->send_max;
		message = (struct msghdr){ .msg_iov = &part, .msg_iovlen = 1 };
		len = part.iov_len;
	}
	conn_note_try(conn, len);
	return sendmsg(conn->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static int
conn_send_pieces(struct conn *conn, struct iovec *pieces, int stall_ms)
{
	size_t len;

	while ((len = pieces[0].iov_len + pieces[1].iov_len) > 0) {
		ssize_t n = conn_send_once(conn, pieces, len);
		int r = 0;

		if (n >= 0) {
			conn_advance(pieces, 2, (size_t)n);
			conn_has_sent(conn, (size_t)n);
			continue;
		}
		r = conn_has_failed(conn);
		if (r == -EAGAIN)
			r = conn->lack.since_ms == 0 ? conn_wait_for_host(conn, stall_ms) : 0;
		if (r < 0 && r != -EINTR)
			return r;
	}
	return 0;
}

/* Sends LEN bytes of BYTES, waiting for the host. */
static int
conn_send_bytes(struct conn *conn, const void *bytes, size_t len, int stall_ms)
{
	struct iovec pieces[2] = { { .iov_base = (void *)(uintptr_t)bytes, .iov_len = len } };

	return conn_send_pieces(conn, pieces, stall_ms);
}

int
conn_send_raw(struct conn *conn, const void *bytes, size_t len)
{
	return conn_send_bytes(conn, bytes, len, 0);
}

/* How long a wait for the host may last. */
static int
conn_patience_ms(const struct conn *conn)
{
	return conn->is_patient ? -1 : conn->stall_ms;
}

static int
conn_send_frame(struct conn *conn, uint8_t type, const void *payload, size_t len, bool last)
{
	uint8_t room[VMM_GUEST_HEADER_LEN];
	/* Of our own buffer header and payload are one piece, which is cheaper. */
	bool is_ours = payload == conn_tx + CONN_PAYLOAD_OFFSET;
	uint8_t *header = is_ours ? conn_tx_buffer() - VMM_GUEST_HEADER_LEN : room;
	struct iovec pieces[2] = {
		{ .iov_base = header, .iov_len = VMM_GUEST_HEADER_LEN + (is_ours ? len : 0) },
		{ .iov_base = (void *)(uintptr_t)payload, .iov_len = is_ours ? 0 : len },
	};
	int r;

	rest_point();
	frame_header_format(header, type, (uint32_t)len);
	r = conn_note_begin(conn, header, payload, len, last);
	if (r == 0)
		r = conn_send_pieces(conn, pieces, conn_patience_ms(conn));
	conn->is_broken = r < 0;
	return r;
}

int
conn_send(struct conn *conn, uint8_t type, const void *payload, size_t len)
{
	return conn_send_frame(conn, type, payload, len, false);
}

int
conn_send_last(struct conn *conn, uint8_t type, const void *payload, size_t len)
{
	return conn_send_frame(conn, type, payload, len, true);
}

/* COUNT frames, which have LEN bytes, begin. */
static int
conn_note_frames(struct conn *conn, const uint8_t *frames, size_t len, size_t count)
{
	int r = conn_note_begin(conn, frames, NULL, len - VMM_GUEST_HEADER_LEN, false);

	conn->tx_len = len - count * VMM_GUEST_HEADER_LEN;
	return r;
}

int
conn_send_batch(struct conn *conn, const uint8_t *frames, size_t len, size_t count)
{
	int r;

	rest_point();
	r = conn_note_frames(conn, frames, len, count);
	if (r == 0)
		r = conn_send_bytes(conn, frames, len, conn_patience_ms(conn));
	conn->is_broken = r < 0;
	return r < 0 ? -EPIPE : 0;
}

/* Whether the first SENT bytes of FRAMES are whole frames. */
static bool
conn_is_between(const uint8_t *frames, size_t sent)
{
	struct frame_header header;
	size_t end = 0;

	while (end < sent && frame_header_parse(frames + end, &header) == 0)
		end += VMM_GUEST_HEADER_LEN + header.len;
	return end == sent;
}

/* Waits until the host takes bytes again, or this worker is told to stop. */
static int
conn_wait_for_taker(struct conn *conn)
{
	short shown = 0;
	int r;

	do {
		r = conn_wait(conn, POLLOUT | POLLRDHUP, true, CLOCK_NEVER, &shown);
	} while (r == -EINTR);
	conn->waited_ms = clock_mono_ms();
	if (r < 0)
		return r;
	return shown & (POLLRDHUP | POLLHUP | POLLERR) ? -EPIPE : 0;
}

int
conn_send_frames(struct conn *conn, const uint8_t *frames, size_t len, size_t count)
{
	size_t sent = 0;
	int r = conn_note_frames(conn, frames, len, count);

	if (r < 0)
		return r;
	while (r == 0 && sent < len) {
		size_t piece = len - sent < conn->send_max ? len - sent : conn->send_max;
		ssize_t n;

		conn_note_try(conn, piece);
		n = send(conn->fd, frames + sent, piece, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n >= 0) {
			sent += (size_t)n;
			conn_has_sent(conn, (size_t)n);
			continue;
		}
		r = conn_has_failed(conn);
		if (r == -EAGAIN)
			r = conn->lack.since_ms == 0 ? conn_wait_for_taker(conn) : 0;
		else if (r == -EINTR)
			r = 0;
	}
	conn->is_broken = r < 0 && (r != -ECANCELED || !conn_is_between(frames, sent));
	if (conn->is_broken)
		return -EPIPE;
	if (r == -ECANCELED) {
		conn->tx_begun = false;
		conn_note_waiting(conn);
	}
	return r;
}

/* Sends up to LEN bytes of FILE_FD by a copy, for files that sendfile(2) does not
 * take, and zeros where the file has no more. Returns how many, or -errno of the
 * connection; what is wrong with the file is in *RET_FILE_ERROR. */
static ssize_t
conn_copy_file(struct conn *conn, int file_fd, size_t len, int *ret_file_error)
{
	size_t want = len < VMM_GUEST_DATA_MAX ? len : VMM_GUEST_DATA_MAX;
	ssize_t n = 0;
	int r;

	if (*ret_file_error == 0) {
		n = read(file_fd, conn_tx, want);
		if (n <= 0)
			*ret_file_error = n == 0 ? -ENODATA : -errno;
	}
	if (*ret_file_error != 0) {
		memset(conn_tx, 0, want);
		n = (ssize_t)want;
	}
	r = conn_send_bytes(conn, conn_tx, (size_t)n, conn_patience_ms(conn));
	return r < 0 ? r : n;
}

int
conn_send_file(struct conn *conn, uint8_t type, int file_fd, size_t len, int *ret_file_error)
{
	int stall_ms = conn_patience_ms(conn);
	uint8_t header[VMM_GUEST_HEADER_LEN];
	size_t left = len;
	bool by_copy = false;
	int r;

	*ret_file_error = 0;
	rest_point();
	frame_header_format(header, type, (uint32_t)len);
	if (conn_note_begin(conn, header, NULL, len, false) < 0)
		return -EPIPE;
	r = conn_send_bytes(conn, header, sizeof(header), stall_ms);
	while (r == 0 && left > 0) {
		ssize_t n = by_copy ? conn_copy_file(conn, file_fd, left, ret_file_error)
				    : sendfile(conn->fd, file_fd, NULL, left);

		if (n > 0)
			left -= (size_t)n;
		if (n > 0 && !by_copy)
			conn_has_sent(conn, (size_t)n);
		else if (n <= 0 && by_copy)
			r = (int)n;
		else if (n < 0 && errno == EAGAIN)
			r = conn_wait_for_host(conn, stall_ms);
		else if (n == 0 || (n < 0 && errno != EINTR))
			by_copy = true; /* which finds out whose error it is */
	}
	conn->is_broken = r < 0;
	return r;
}
