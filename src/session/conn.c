/*
 * conn: the connection of one session.
 */
#include "session/conn.h"

#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "platform/clock.h"
#include "platform/fd.h"
#include "session/stop.h"

#define CONN_PAGE 4096

/* The receive buffer takes a whole JSON payload; larger ones are seen in pieces. */
#define CONN_RX_SIZE (VMM_GUEST_JSON_MAX + CONN_PAGE)

/* Where a header comes next, little is asked for: small frames come together, and
 * the payload of a large one then comes by itself, to an aligned address. */
#define CONN_RECV_HEADERS 4096

/* One recv(2) of payload takes at most so much: a session touches few pages. */
#define CONN_RECV_MAX (256u * 1024)

/* What a session may leave in memory for the next one, above which it is given
 * back to the kernel. */
#define CONN_RX_KEPT (256u * 1024 + CONN_PAGE)

static _Alignas(CONN_PAGE) uint8_t conn_rx[CONN_RX_SIZE];
static _Alignas(CONN_PAGE) uint8_t conn_tx[CONN_PAYLOAD_OFFSET + VMM_GUEST_DATA_MAX];

/* The highest byte of conn_rx that was written since it was last given back. */
static size_t conn_rx_touched;

void
conn_init(struct conn *conn, int fd, struct slot *slot)
{
	*conn = (struct conn){ .fd = fd, .slot = slot, .rx = conn_rx };
}

void
conn_close(struct conn *conn)
{
	fd_close(&conn->fd);
	if (conn_rx_touched > CONN_RX_KEPT) {
		(void)madvise(conn_rx + CONN_RX_KEPT, CONN_RX_SIZE - CONN_RX_KEPT, MADV_DONTNEED);
		conn_rx_touched = CONN_RX_KEPT;
	}
}

uint8_t *
conn_tx_buffer(void)
{
	return conn_tx + CONN_PAYLOAD_OFFSET;
}

/* ---- receiving -------------------------------------------------------- */

/* Makes room behind what is buffered. A frame's payload is placed where the
 * header of the next one lands in front of an aligned address: a kernel copy
 * to or from an address that is off by the header's 5 bytes takes far longer. */
static void
conn_make_room(struct conn *conn)
{
	const size_t aligned = CONN_PAYLOAD_OFFSET - VMM_GUEST_HEADER_LEN;
	size_t len = conn->rx_tail - conn->rx_head;

	if (len == 0) {
		conn->rx_head = conn->rx_tail = conn->payload_left > 0 ? 0 : aligned;
	} else if (conn->rx_tail == CONN_RX_SIZE && conn->rx_head > 0) {
		memmove(conn->rx, conn->rx + conn->rx_head, len);
		conn->rx_head = 0;
		conn->rx_tail = len;
	}
}

/* Of a large payload no more than the header behind it, which leaves the buffer
 * empty for the next payload: it lands at an aligned address, whole. */
static size_t
conn_recv_limit(const struct conn *conn)
{
	size_t missing = conn->payload_left - (conn->rx_tail - conn->rx_head);

	if (conn->payload_left < conn->rx_tail - conn->rx_head || missing < CONN_RECV_HEADERS)
		return CONN_RECV_HEADERS;
	return missing <= CONN_RECV_MAX ? missing + VMM_GUEST_HEADER_LEN : CONN_RECV_MAX;
}

ssize_t
conn_fill(struct conn *conn)
{
	size_t room;
	size_t limit;
	ssize_t n;

	conn_make_room(conn);
	room = CONN_RX_SIZE - conn->rx_tail;
	if (room == 0)
		return 0;
	limit = conn_recv_limit(conn);
	if (room > limit)
		room = limit;
	do {
		n = recv(conn->fd, conn->rx + conn->rx_tail, room, MSG_DONTWAIT);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EAGAIN ? -EAGAIN : -EPIPE;
	if (n == 0)
		return -EPIPE;
	conn->rx_tail += (size_t)n;
	if (conn->rx_tail > conn_rx_touched)
		conn_rx_touched = conn->rx_tail;
	return n;
}

int
conn_parse_header(struct conn *conn, struct frame_header *ret)
{
	struct frame_header header;
	int r;

	if (conn->rx_tail - conn->rx_head < VMM_GUEST_HEADER_LEN)
		return -EAGAIN;
	r = frame_header_parse(conn->rx + conn->rx_head, &header);
	if (r < 0)
		return r;
	conn->rx_head += VMM_GUEST_HEADER_LEN;
	conn->payload_left = header.len;
	atomic_store_explicit(&conn->slot->bytes_in,
	    atomic_load_explicit(&conn->slot->bytes_in, memory_order_relaxed) + header.len,
	    memory_order_relaxed);
	*ret = header;
	return 0;
}

size_t
conn_take(struct conn *conn, size_t max, const uint8_t **ret)
{
	size_t len = conn->rx_tail - conn->rx_head;

	if (len > conn->payload_left)
		len = conn->payload_left;
	if (len > max)
		len = max;
	*ret = conn->rx + conn->rx_head;
	conn->rx_head += len;
	conn->payload_left -= (uint32_t)len;
	return len;
}

/* Waits until EVENTS, or the host's going, show on the connection. Where a request
 * is waited for, a word to stop ends it; what is to be said at the end is said
 * all the same. */
static int
conn_wait(struct conn *conn, short events, bool can_stop, uint64_t deadline_ms, short *ret_shown)
{
	struct pollfd wait = { .fd = conn->fd, .events = events };
	uint64_t now = clock_mono_ms();
	struct timespec left;
	struct timespec *timeout = NULL;
	int n;

	if (can_stop && stop_is_now())
		return -ECANCELED;
	if (deadline_ms != CLOCK_NEVER) {
		uint64_t ms = deadline_ms > now ? deadline_ms - now : 0;

		left.tv_sec = (time_t)(ms / 1000);
		left.tv_nsec = (long)(ms % 1000) * 1000000;
		timeout = &left;
	}
	n = ppoll(&wait, 1, timeout, can_stop ? stop_wait_mask() : NULL);
	if (n < 0 && errno == EINTR)
		return can_stop && stop_is_now() ? -ECANCELED : -EINTR;
	if (n < 0)
		return -errno;
	if (n == 0)
		return -ETIMEDOUT;
	*ret_shown = wait.revents;
	return 0;
}

/* Receives something, waiting for it. */
static int
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

ssize_t
conn_read_payload(struct conn *conn, uint64_t deadline_ms, const uint8_t **ret)
{
	if (conn->payload_left == 0)
		return 0;
	if (conn->rx_head == conn->rx_tail) {
		int r = conn_fill_wait(conn, true, deadline_ms);

		if (r < 0)
			return r;
	}
	return (ssize_t)conn_take(conn, SIZE_MAX, ret);
}

ssize_t
conn_read_whole(struct conn *conn, uint64_t deadline_ms, const uint8_t **ret)
{
	if (conn->payload_left > VMM_GUEST_JSON_MAX)
		return -EMSGSIZE;
	if (conn->rx_head > 0 && conn->payload_left > CONN_RX_SIZE - conn->rx_head) {
		memmove(conn->rx, conn->rx + conn->rx_head, conn->rx_tail - conn->rx_head);
		conn->rx_tail -= conn->rx_head;
		conn->rx_head = 0;
	}
	while (conn->rx_tail - conn->rx_head < conn->payload_left) {
		int r = conn_fill_wait(conn, true, deadline_ms);

		if (r < 0)
			return r;
	}
	return (ssize_t)conn_take(conn, SIZE_MAX, ret);
}

size_t
conn_peek(const struct conn *conn, const uint8_t **ret)
{
	*ret = conn->rx + conn->rx_head;
	return conn->rx_tail - conn->rx_head;
}

int
conn_receive(struct conn *conn, uint64_t deadline_ms)
{
	return conn_fill_wait(conn, true, deadline_ms);
}

void
conn_skip(struct conn *conn, size_t len)
{
	conn->rx_head += len;
}

/* ---- sending ---------------------------------------------------------- */

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

int
conn_await_room(struct conn *conn)
{
	struct pollfd look = { .fd = conn->fd, .events = POLLOUT };

	if (poll(&look, 1, 0) > 0 && (look.revents & POLLOUT) != 0)
		return 0;
	return conn_wait_for_host(conn, -1);
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

/* ---- the end ---------------------------------------------------------- */

/* Drops what is buffered, frame by frame. True at a frame of type UNTIL, or where
 * the stream makes no sense any more. */
static bool
conn_drop_buffered(struct conn *conn, int until)
{
	struct frame_header header;
	const uint8_t *ignored;
	int r;

	for (;;) {
		(void)conn_take(conn, SIZE_MAX, &ignored);
		if (conn_in_payload(conn))
			return false;
		r = conn_parse_header(conn, &header);
		if (r == -EAGAIN)
			return false;
		if (r < 0) {
			/* Not frames any more: drop bytes as bytes. */
			conn->payload_left = UINT32_MAX;
			continue;
		}
		if (until >= 0 && header.type == until)
			return true;
	}
}

void
conn_discard(struct conn *conn, int max_ms, int until)
{
	uint64_t deadline = clock_mono_ms() + (uint64_t)max_ms;

	while (!conn_drop_buffered(conn, until)) {
		if (conn_fill_wait(conn, false, deadline) < 0)
			return;
	}
}

void
conn_shut_down(struct conn *conn)
{
	(void)shutdown(conn->fd, SHUT_WR);
}

void
conn_finish(struct conn *conn)
{
	uint64_t now = clock_mono_ms();
	bool slow = conn->waited_ms > 0 && now - conn->waited_ms < VMM_GUEST_SLOW_WINDOW_MS;

	conn_shut_down(conn);
	if (slow)
		conn_discard(conn, VMM_GUEST_LINGER_SLOW_MS, -1);
	else if (!conn->saw_eof_frame)
		conn_discard(conn, VMM_GUEST_LINGER_MS, VMM_GUEST_EOF);
	conn_close(conn);
}

void
conn_hang_up(struct conn *conn, int max_ms)
{
	conn_shut_down(conn);
	conn_discard(conn, max_ms, -1);
	conn_close(conn);
}
