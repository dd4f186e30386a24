/*
 * tcp_relay: bytes between the host and a TCP connection of the guest.
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
 *
 * SPDX-License-Identifier: MIT
 */
#include "session/control/tcp_relay.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

#include "platform/clock.h"
#include "platform/io_error.h"
#include "session/rest.h"
#include "session/stop.h"

/* Where the agent is to stop, a host that takes nothing of a last frame for this long is
 * given up. */
#define TCP_RELAY_FINISH_MS 2000

struct tcp_relay {
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

/* What ERROR of the TCP connection, a value of errno, means: 0 if the call is to be made
 * again when poll(2) shows it, else -ERROR. */
static int
tcp_relay_bear(struct tcp_relay *relay, int error)
{
	enum io_meaning meaning = io_error_read(IO_CONNECTION, error);

	if (meaning == IO_NOT_NOW || (meaning == IO_NO_MEMORY && io_lack_bear(&relay->lack)))
		return 0;
	return error == EPIPE ? -ECONNRESET : -error;
}

/* ---- from the host to the guest --------------------------------------- */

/* Writes what there is. Returns false if the guest must be waited for. */
static bool
tcp_relay_write(struct tcp_relay *relay)
{
	while (relay->input_len > 0) {
		ssize_t n = send(
		    relay->tcp_fd, relay->input, relay->input_len, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			relay->send_error = tcp_relay_bear(relay, errno);
			if (relay->send_error == 0)
				return false;
			relay->input_len = 0;
			return true;
		}
		relay->lack.since_ms = 0;
		relay->input += n;
		relay->input_len -= (size_t)n;
	}
	return true;
}

/* Takes the next piece of payload, or the next header. Returns 0, -EAGAIN if the
 * buffer has no more, -EMSGSIZE. */
static int
tcp_relay_take(struct tcp_relay *relay)
{
	struct frame_header header;
	const uint8_t *bytes;
	size_t len;
	int r;

	if (conn_in_payload(relay->conn)) {
		len = conn_take_joined(relay->conn, SIZE_MAX, &bytes);
		if (len == 0)
			return -EAGAIN;
		if (relay->type == VMM_GUEST_STDIN && !relay->host_ended &&
		    relay->send_error == 0) {
			relay->input = bytes;
			relay->input_len = len;
		}
		return 0;
	}
	r = conn_parse_header(relay->conn, &header);
	if (r < 0)
		return r;
	relay->type = header.type;
	if (header.type == VMM_GUEST_EOF && !relay->host_ended) {
		relay->host_ended = true;
		relay->is_cut = shutdown(relay->tcp_fd, SHUT_WR) < 0;
		if (relay->is_cut && relay->send_error == 0)
			relay->send_error = errno == ENOTCONN ? -ECONNRESET : -errno;
	}
	return 0;
}

/* Passes on all that can be without waiting. What stands in the buffer goes before
 * more is received, as it is borrowed until then. Returns 0, -EPIPE, -EMSGSIZE. */
static int
tcp_relay_from_host(struct tcp_relay *relay)
{
	while (tcp_relay_write(relay)) {
		int r = tcp_relay_take(relay);

		if (r == -EAGAIN && relay->is_host_readable) {
			ssize_t n = conn_fill(relay->conn);

			relay->is_host_readable = false;
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
tcp_relay_from_guest(struct tcp_relay *relay)
{
	ssize_t n;
	int r = conn_is_pushing(relay->conn) ? conn_push(relay->conn) : 0;

	if (r < 0)
		return r == -EAGAIN ? 0 : r;
	if (relay->guest_ended || relay->error < 0 || rest_is_due())
		return 0;
	do {
		n = recv(relay->tcp_fd, conn_tx_buffer(), VMM_GUEST_DATA_MAX, MSG_DONTWAIT);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		relay->error = tcp_relay_bear(relay, errno);
	/* The guest may wait for an end that it will not see. */
	if ((n == 0 && relay->send_error < 0) || (n < 0 && relay->is_cut))
		relay->error = relay->send_error;
	if (n < 0 || relay->error < 0)
		return 0;
	relay->guest_ended = n == 0;
	conn_begin_push(relay->conn, VMM_GUEST_STDOUT, (size_t)n, false);
	r = conn_push(relay->conn);
	return r == -EAGAIN ? 0 : r;
}

/* ---- the loop ---------------------------------------------------------- */

static bool
tcp_relay_is_over(const struct tcp_relay *relay)
{
	if (conn_is_pushing(relay->conn))
		return false;
	return relay->error < 0 ||
	       (relay->host_ended && relay->guest_ended && relay->input_len == 0);
}

/* Waits for what the next turn needs. Returns 0, -EPIPE, -ECANCELED. */
static int
tcp_relay_wait(struct tcp_relay *relay)
{
	bool is_pushing = conn_is_pushing(relay->conn);
	short tcp_events = 0;
	struct pollfd polls[2];

	rest_point();
	if (stop_is_now())
		return -ECANCELED;
	if (relay->input_len > 0)
		tcp_events |= POLLOUT;
	if (!is_pushing && !relay->guest_ended)
		tcp_events |= POLLIN;
	polls[0] = (struct pollfd){
		.fd = conn_fd(relay->conn),
		.events = (short)(POLLRDHUP | (is_pushing ? POLLOUT : 0) |
				  (relay->input_len == 0 ? POLLIN : 0)),
	};
	/* With nothing to wait for its hanging up would wake us for nothing. */
	polls[1] = (struct pollfd){
		.fd = tcp_events != 0 && relay->error == 0 ? relay->tcp_fd : -1,
		.events = tcp_events,
	};
	/* One that waits for an end that it will not see wakes nobody: it is asked until there is
	 * no more. */
	if (stop_poll(polls, 2, relay->is_cut && !is_pushing ? 0 : CLOCK_NEVER, true) < 0)
		return errno == EINTR ? 0 : -errno;
	if (polls[0].revents & (POLLRDHUP | POLLHUP | POLLERR))
		return -EPIPE;
	if (polls[0].revents & POLLIN)
		relay->is_host_readable = true;
	return 0;
}

/* Sends the frame under way to its end, waiting for the host for MAX_MS (-1: as long as
 * it is there). Returns 0, or -EPIPE if the host does not take it. */
static int
tcp_relay_finish_frame(struct conn *conn, int max_ms)
{
	struct pollfd wait = { .fd = conn_fd(conn), .events = POLLOUT | POLLRDHUP };

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
tcp_relay_set_reset(int tcp_fd, bool is_reset)
{
	struct linger linger = { .l_onoff = is_reset, .l_linger = 0 };

	(void)setsockopt(tcp_fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
}

int
tcp_relay_run(struct conn *conn, int tcp_fd)
{
	struct tcp_relay relay = {
		.conn = conn,
		.tcp_fd = tcp_fd,
		.lack.max_ms = conn_stall_ms(conn),
	};
	int r;

	tcp_relay_set_reset(tcp_fd, true);
	do {
		r = tcp_relay_from_host(&relay);
		if (r == 0)
			r = tcp_relay_from_guest(&relay);
		if (r == 0 && tcp_relay_is_over(&relay))
			break;
		if (r == 0)
			r = tcp_relay_wait(&relay);
	} while (r == 0);
	if (relay.host_ended && !relay.is_cut)
		tcp_relay_set_reset(tcp_fd, false);
	if (r == 0)
		return relay.error;
	if (r != -EPIPE &&
	    tcp_relay_finish_frame(conn, r == -ECANCELED ? TCP_RELAY_FINISH_MS : -1) < 0)
		return -EPIPE;
	return r;
}
