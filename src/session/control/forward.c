/*
 * forward: bytes between the host and a TCP connection of the guest.
 *
 *   - Each direction is read only when what was read of it before has been
 *     written: back pressure reaches the writer at the other end, either way.
 *   - The host's EOF frame closes our sending side of the TCP connection, once
 *     all STDIN before it has been written; STDIN after it is dropped.
 *   - The guest's end of file becomes a STDOUT frame of length zero.
 *   - One direction that has been closed does not end the other.
 *   - The host's going ends both at once, as does a TCP connection that breaks;
 *     what of a frame had been sent is then sent to its end.
 *   - What ends before the host's EOF was passed on is a reset for the guest: an end
 *     in order would make a whole of what was cut.
 */
#include "session/control/forward.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

#include "platform/clock.h"
#include "platform/io_error.h"
#include "session/stop.h"

/* A host that takes nothing of a last frame for so long is given up, where the agent is
 * to stop. */
#define FORWARD_FINISH_MS 2000

struct forward {
	struct conn *conn;
	int tcp_fd;
	const uint8_t *input; /* STDIN not yet written, in CONN's buffer */
	size_t input_len;
	uint8_t type;	 /* of the frame whose payload is being taken */
	bool host_ended; /* EOF has been passed on */
	bool guest_ended;
	bool is_host_readable;
	bool is_cut;	     /* our side could not be closed: no end will come of that */
	int send_error;	     /* the guest takes no more, but what it sent is still read */
	int error;	     /* the TCP connection has come to a bad end */
	struct io_lack lack; /* of memory for the TCP connection */
};

/* What ERROR of the TCP connection, a value of errno, comes to: 0 if it is to be tried
 * again when poll(2) shows it, else -ERROR. */
static int
forward_bear(struct forward *forward, int error)
{
	enum io_meaning meaning = io_error_read(IO_CONNECTION, error);

	if (meaning == IO_NOT_NOW || (meaning == IO_NO_MEMORY && io_lack_bear(&forward->lack)))
		return 0;
	return error == EPIPE ? -ECONNRESET : -error;
}

/* ---- from the host to the guest --------------------------------------- */

/* Writes what there is. Returns false if the guest must be waited for. */
static bool
forward_write(struct forward *forward)
{
	while (forward->input_len > 0) {
		ssize_t n = send(forward->tcp_fd, forward->input, forward->input_len,
		    MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			forward->send_error = forward_bear(forward, errno);
			if (forward->send_error == 0)
				return false;
			forward->input_len = 0;
			return true;
		}
		forward->lack.since_ms = 0;
		forward->input += n;
		forward->input_len -= (size_t)n;
	}
	return true;
}

/* Takes the next piece of payload, or the next header. Returns 0, -EAGAIN if the
 * buffer has no more, -EMSGSIZE. */
static int
forward_take(struct forward *forward)
{
	struct frame_header header;
	const uint8_t *bytes;
	size_t len;
	int r;

	if (conn_in_payload(forward->conn)) {
		len = conn_take(forward->conn, SIZE_MAX, &bytes);
		if (len == 0)
			return -EAGAIN;
		if (forward->type == VMM_GUEST_STDIN && !forward->host_ended &&
		    forward->send_error == 0) {
			forward->input = bytes;
			forward->input_len = len;
		}
		return 0;
	}
	r = conn_parse_header(forward->conn, &header);
	if (r < 0)
		return r;
	forward->type = header.type;
	if (header.type == VMM_GUEST_EOF && !forward->host_ended) {
		forward->conn->saw_eof_frame = true;
		forward->host_ended = true;
		forward->is_cut = shutdown(forward->tcp_fd, SHUT_WR) < 0;
		if (forward->is_cut && forward->send_error == 0)
			forward->send_error = errno == ENOTCONN ? -ECONNRESET : -errno;
	}
	return 0;
}

/* Passes on all that can be without waiting. What stands in the buffer goes before
 * more is received, as it is borrowed until then. Returns 0, -EPIPE, -EMSGSIZE. */
static int
forward_from_host(struct forward *forward)
{
	while (forward_write(forward)) {
		int r = forward_take(forward);

		if (r == -EAGAIN && forward->is_host_readable) {
			ssize_t n = conn_fill(forward->conn);

			forward->is_host_readable = false;
			r = n < 0 && n != -EAGAIN ? (int)n : n > 0 ? 0 : -EAGAIN;
		}
		if (r == -EAGAIN)
			return 0;
		if (r < 0)
			return r;
	}
	return 0;
}

/* ---- from the guest to the host --------------------------------------- */

/* Passes on one piece. Returns 0, or -EPIPE. */
static int
forward_from_guest(struct forward *forward)
{
	ssize_t n;
	int r = conn_is_pushing(forward->conn) ? conn_push(forward->conn) : 0;

	if (r < 0)
		return r == -EAGAIN ? 0 : r;
	if (forward->guest_ended || forward->error < 0)
		return 0;
	do {
		n = recv(forward->tcp_fd, conn_tx_buffer(), VMM_GUEST_DATA_MAX, MSG_DONTWAIT);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		forward->error = forward_bear(forward, errno);
	/* The guest may wait for an end that it will not see. */
	if ((n == 0 && forward->send_error < 0) || (n < 0 && forward->is_cut))
		forward->error = forward->send_error;
	if (n < 0 || forward->error < 0)
		return 0;
	forward->guest_ended = n == 0;
	conn_begin_push(forward->conn, VMM_GUEST_STDOUT, (size_t)n, false);
	r = conn_push(forward->conn);
	return r == -EAGAIN ? 0 : r;
}

/* ---- the loop ---------------------------------------------------------- */

static bool
forward_is_over(const struct forward *forward)
{
	if (conn_is_pushing(forward->conn))
		return false;
	return forward->error < 0 ||
	       (forward->host_ended && forward->guest_ended && forward->input_len == 0);
}

/* Waits for what the next turn needs. Returns 0, -EPIPE, -ECANCELED. */
static int
forward_wait(struct forward *forward)
{
	bool is_pushing = conn_is_pushing(forward->conn);
	short tcp_events = 0;
	struct pollfd polls[2];

	if (stop_is_now())
		return -ECANCELED;
	if (forward->input_len > 0)
		tcp_events |= POLLOUT;
	if (!is_pushing && !forward->guest_ended)
		tcp_events |= POLLIN;
	polls[0] = (struct pollfd){
		.fd = forward->conn->fd,
		.events = (short)(POLLRDHUP | (is_pushing ? POLLOUT : 0) |
				  (forward->input_len == 0 ? POLLIN : 0)),
	};
	/* With nothing to wait for its hanging up would wake us for nothing. */
	polls[1] = (struct pollfd){
		.fd = tcp_events != 0 && forward->error == 0 ? forward->tcp_fd : -1,
		.events = tcp_events,
	};
	if (stop_poll(polls, 2, CLOCK_NEVER, true) < 0)
		return errno == EINTR ? 0 : -errno;
	if (polls[0].revents & (POLLRDHUP | POLLHUP | POLLERR))
		return -EPIPE;
	if (polls[0].revents & POLLIN)
		forward->is_host_readable = true;
	return 0;
}

/* Sends the frame under way to its end, waiting for the host for MAX_MS (-1: as long as
 * it is there). Returns 0, or -EPIPE if the host does not take it. */
static int
forward_finish_frame(struct conn *conn, int max_ms)
{
	struct pollfd wait = { .fd = conn->fd, .events = POLLOUT | POLLRDHUP };

	while (conn_is_pushing(conn)) {
		int r = conn_push(conn);

		if (r == -EPIPE)
			return r;
		if (r == -EAGAIN && poll(&wait, 1, max_ms) == 0)
			return -EPIPE;
		if (wait.revents & (POLLRDHUP | POLLHUP | POLLERR))
			return -EPIPE;
	}
	return 0;
}

/* Whether the close(2) that ends TCP_FD, or this worker's death, is a reset. */
static void
forward_set_reset(int tcp_fd, bool is_reset)
{
	struct linger linger = { .l_onoff = is_reset, .l_linger = 0 };

	(void)setsockopt(tcp_fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
}

int
forward_run(struct conn *conn, int tcp_fd)
{
	struct forward forward = {
		.conn = conn,
		.tcp_fd = tcp_fd,
		.lack.max_ms = conn->lack.max_ms,
	};
	int r;

	forward_set_reset(tcp_fd, true);
	do {
		r = forward_from_host(&forward);
		if (r == 0)
			r = forward_from_guest(&forward);
		if (r == 0 && forward_is_over(&forward))
			break;
		if (r == 0)
			r = forward_wait(&forward);
	} while (r == 0);
	if (forward.host_ended && !forward.is_cut)
		forward_set_reset(tcp_fd, false);
	if (r == 0)
		return forward.error;
	if (r != -EPIPE && forward_finish_frame(conn, r == -ECANCELED ? FORWARD_FINISH_MS : -1) < 0)
		return -EPIPE;
	return r;
}
