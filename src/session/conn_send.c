/*
 * conn_send: what is sent on the connection of a session: frames, whole.
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
#include "session/conn_wait.h"

#define CONN_PAGE 4096

static _Alignas(CONN_PAGE) uint8_t conn_tx[CONN_PAYLOAD_OFFSET + VMM_GUEST_DATA_MAX];

uint8_t *
conn_tx_buffer(void)
{
	return conn_tx + CONN_PAYLOAD_OFFSET;
}

/* The slot is told before a frame's first byte and after its last, so that the
 * supervisor never speaks into the middle of one. A last frame is marked as
 * sent before in_frame is cleared: in between it is neither open nor lost. */
static void
conn_frame_sent(struct conn *conn, size_t payload_len, bool last)
{
	struct slot *slot = conn->slot;

	atomic_store_explicit(&slot->bytes_out,
	    atomic_load_explicit(&slot->bytes_out, memory_order_relaxed) + payload_len,
	    memory_order_relaxed);
	if (last)
		atomic_store(&slot->phase, SLOT_LAST_SENT);
	atomic_store(&slot->in_frame, 0);
}

void
conn_begin_push(struct conn *conn, uint8_t type, size_t len, bool last)
{
	frame_header_format(
	    conn_tx + CONN_PAYLOAD_OFFSET - VMM_GUEST_HEADER_LEN, type, (uint32_t)len);
	conn->tx_head = CONN_PAYLOAD_OFFSET - VMM_GUEST_HEADER_LEN;
	conn->tx_tail = CONN_PAYLOAD_OFFSET + len;
	conn->tx_last = last;
	atomic_store(&conn->slot->in_frame, 1);
}

int
conn_push(struct conn *conn)
{
	while (conn->tx_head < conn->tx_tail) {
		ssize_t n = send(conn->fd, conn_tx + conn->tx_head, conn->tx_tail - conn->tx_head,
		    MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN) {
			conn->waited_ms = clock_mono_ms();
			return -EAGAIN;
		}
		if (n < 0)
			return -EPIPE;
		conn->tx_head += (size_t)n;
	}
	conn_frame_sent(conn, conn->tx_tail - CONN_PAYLOAD_OFFSET, conn->tx_last);
	return 0;
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
conn_has_room(const struct conn *conn)
{
	struct pollfd look = { .fd = conn->fd, .events = POLLOUT };

	return poll(&look, 1, 0) > 0 && (look.revents & POLLOUT) != 0;
}

int
conn_await_room(struct conn *conn)
{
	return conn_has_room(conn) ? 0 : conn_wait_for_host(conn, -1);
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

static int
conn_send_pieces(struct conn *conn, struct iovec *pieces, size_t count, int stall_ms)
{
	struct msghdr message = { .msg_iov = pieces, .msg_iovlen = count };

	while (pieces[count - 1].iov_len > 0 || pieces[0].iov_len > 0) {
		ssize_t n = sendmsg(conn->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
		int r;

		if (n >= 0) {
			conn_advance(pieces, count, (size_t)n);
			continue;
		}
		if (errno == EINTR)
			continue;
		if (errno != EAGAIN)
			return -EPIPE;
		r = conn_wait_for_host(conn, stall_ms);
		if (r < 0)
			return r;
	}
	return 0;
}

int
conn_send_raw(struct conn *conn, const void *bytes, size_t len)
{
	struct iovec piece = { .iov_base = (void *)(uintptr_t)bytes, .iov_len = len };

	return conn_send_pieces(conn, &piece, 1, 0);
}

static int
conn_send_frame(
    struct conn *conn, uint8_t type, const void *payload, size_t len, int stall_ms, bool last)
{
	uint8_t header[VMM_GUEST_HEADER_LEN];
	struct iovec pieces[2] = {
		{ .iov_base = header, .iov_len = sizeof(header) },
		{ .iov_base = (void *)(uintptr_t)payload, .iov_len = len },
	};
	int r;

	atomic_store(&conn->slot->in_frame, 1);
	if (payload == conn_tx + CONN_PAYLOAD_OFFSET) {
		struct iovec whole = {
			.iov_base = conn_tx + CONN_PAYLOAD_OFFSET - VMM_GUEST_HEADER_LEN,
			.iov_len = VMM_GUEST_HEADER_LEN + len,
		};

		frame_header_format(whole.iov_base, type, (uint32_t)len);
		r = conn_send_pieces(conn, &whole, 1, stall_ms);
	} else {
		frame_header_format(header, type, (uint32_t)len);
		r = conn_send_pieces(conn, pieces, 2, stall_ms);
	}
	if (r == 0)
		conn_frame_sent(conn, len, last);
	return r;
}

int
conn_send(struct conn *conn, uint8_t type, const void *payload, size_t len, int stall_ms)
{
	return conn_send_frame(conn, type, payload, len, stall_ms, false);
}

int
conn_send_last(struct conn *conn, uint8_t type, const void *payload, size_t len, int stall_ms)
{
	return conn_send_frame(conn, type, payload, len, stall_ms, true);
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
	int r = 0;

	atomic_store(&conn->slot->in_frame, 1);
	while (r == 0 && sent < len) {
		ssize_t n = send(conn->fd, frames + sent, len - sent, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n >= 0)
			sent += (size_t)n;
		else if (errno == EAGAIN)
			r = conn_wait_for_taker(conn);
		else if (errno != EINTR)
			r = -EPIPE;
	}
	if (r == -ECANCELED && !conn_is_between(frames, sent))
		r = -EPIPE;
	if (r != -EPIPE)
		conn_frame_sent(conn, r == 0 ? len - count * VMM_GUEST_HEADER_LEN : 0, false);
	return r;
}

/* Sends LEN bytes of BYTES, waiting for the host. */
static int
conn_send_bytes(struct conn *conn, const void *bytes, size_t len, int stall_ms)
{
	struct iovec piece = { .iov_base = (void *)(uintptr_t)bytes, .iov_len = len };

	return conn_send_pieces(conn, &piece, 1, stall_ms);
}

/* Sends up to LEN bytes of FILE_FD by a copy, for files that sendfile(2) does not
 * take, and zeros where the file has no more. Returns how many, or -errno of the
 * connection; what is wrong with the file is in *RET_FILE_ERROR. */
static ssize_t
conn_copy_file(struct conn *conn, int file_fd, size_t len, int stall_ms, int *ret_file_error)
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
	r = conn_send_bytes(conn, conn_tx, (size_t)n, stall_ms);
	return r < 0 ? r : n;
}

int
conn_send_file(
    struct conn *conn, uint8_t type, int file_fd, size_t len, int stall_ms, int *ret_file_error)
{
	uint8_t header[VMM_GUEST_HEADER_LEN];
	size_t left = len;
	bool by_copy = false;
	int r;

	*ret_file_error = 0;
	frame_header_format(header, type, (uint32_t)len);
	atomic_store(&conn->slot->in_frame, 1);
	r = conn_send_bytes(conn, header, sizeof(header), stall_ms);
	while (r == 0 && left > 0) {
		ssize_t n = by_copy ? conn_copy_file(conn, file_fd, left, stall_ms, ret_file_error)
				    : sendfile(conn->fd, file_fd, NULL, left);

		if (n > 0)
			left -= (size_t)n;
		else if (by_copy)
			r = (int)n;
		else if (n < 0 && errno == EAGAIN)
			r = conn_wait_for_host(conn, stall_ms);
		else if (n < 0 && (errno == EPIPE || errno == ECONNRESET))
			r = -EPIPE;
		else if (n == 0 || errno != EINTR)
			by_copy = true;
	}
	if (r == 0)
		conn_frame_sent(conn, len, false);
	return r;
}
