/*
 * tunnel: one TCP connection, carried to a port of the guest.
 *
 * As in attach.c: one frame at a time is on its way to the agent, one piece of a
 * frame on its way to TCP, and what waits is what holds back its sender.
 *
 * SPDX-License-Identifier: MIT
 */
#include "ctl/target.h"
#include "ctl/tunnel.h"
#include "platform/clock.h"
#include "platform/fd.h"
#include "protocol/port_request.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define TUNNEL_READ_LEN (64 * 1024)

/* For the agent to connect in the guest, which may take it as long as the kernel there
 * tries: two minutes (tcp(7), tcp_syn_retries). */
#define TUNNEL_CONNECT_MS 150000

enum {
	TUNNEL_POLL_CONN = 0,
	TUNNEL_POLL_TCP,
	TUNNEL_POLLS
};

struct tunnel {
	struct client client;
	int tcp_fd;
	bool tcp_is_open;   /* it may still send something */
	bool guest_is_done; /* it sends nothing any more, and TCP has been told so */
	bool is_over;	    /* EXIT has come */
	bool is_whole;	    /* and said that all went well */
	struct client_piece piece;
	size_t outbox_sent;
	size_t outbox_len;
	uint8_t outbox[VMM_GUEST_HEADER_LEN + TUNNEL_READ_LEN];
};

void
tunnel_set_reset(int fd, bool on)
{
	const struct linger linger = { .l_onoff = on };

	(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
}

static int
tunnel_send(struct tunnel *tunnel)
{
	ssize_t n = client_try_send(&tunnel->client, tunnel->client.fd,
	    tunnel->outbox + tunnel->outbox_sent, tunnel->outbox_len - tunnel->outbox_sent);

	if (n < 0)
		return n == -EAGAIN ? 0 : (int)n;
	tunnel->outbox_sent += (size_t)n;
	if (tunnel->outbox_sent == tunnel->outbox_len)
		tunnel->outbox_sent = tunnel->outbox_len = 0;
	return 0;
}

/* Takes what TCP has, or its end, into the empty outbox. */
static int
tunnel_read(struct tunnel *tunnel)
{
	ssize_t n = client_try_recv(&tunnel->client, tunnel->tcp_fd,
	    tunnel->outbox + VMM_GUEST_HEADER_LEN, TUNNEL_READ_LEN);

	if (n < 0)
		return n == -EAGAIN ? 0 : (int)n;
	tunnel->tcp_is_open = n > 0;
	frame_header_format(tunnel->outbox, n > 0 ? VMM_GUEST_STDIN : VMM_GUEST_EOF, (uint32_t)n);
	tunnel->outbox_len = VMM_GUEST_HEADER_LEN + (size_t)n;
	client_trace_out(&tunnel->client, tunnel->outbox, tunnel->outbox_len);
	return tunnel_send(tunnel);
}

static int
tunnel_write(struct tunnel *tunnel)
{
	while (tunnel->piece.len > 0) {
		ssize_t n = client_try_send(
		    &tunnel->client, tunnel->tcp_fd, tunnel->piece.data, tunnel->piece.len);

		if (n < 0)
			return n == -EAGAIN ? 0 : (int)n;
		tunnel->piece.data += n;
		tunnel->piece.len -= (size_t)n;
	}
	return 0;
}

/* The agent sends EXIT 0 when both directions have come to their end. */
static void
tunnel_end(struct tunnel *tunnel, const struct client_piece *piece)
{
	struct frame_exit end;

	tunnel->is_over = true;
	tunnel->is_whole = tunnel->guest_is_done &&
			   frame_exit_parse(piece->data, piece->len, &end) == 0 &&
			   end.code == VMM_GUEST_EXIT_OK;
}

/* Goes through what was received, as far as TCP takes it. */
static int
tunnel_take_all(struct tunnel *tunnel)
{
	int r = tunnel_write(tunnel);

	while (r == 0 && tunnel->piece.len == 0 && !tunnel->is_over) {
		struct client_piece piece;

		r = client_take(&tunnel->client, &piece);
		if (r == -EAGAIN)
			return 0;
		if (r < 0)
			return r;
		if (piece.type == VMM_GUEST_EXIT)
			tunnel_end(tunnel, &piece);
		if (piece.type != VMM_GUEST_STDOUT)
			continue;
		if (piece.len == 0 && piece.first) {
			tunnel->guest_is_done = true;
			(void)shutdown(tunnel->tcp_fd, SHUT_WR);
		}
		tunnel->piece = piece;
		r = tunnel_write(tunnel);
	}
	return r;
}

static int
tunnel_receive(struct tunnel *tunnel)
{
	int r = client_fill(&tunnel->client);

	if (r == -EAGAIN)
		return 0;
	return r < 0 ? r : tunnel_take_all(tunnel);
}

/* One turn of the loop. A descriptor that nothing is wanted of is left out, as its
 * hang-up would be told again and again. */
static int
tunnel_step(struct tunnel *tunnel)
{
	bool can_receive = tunnel->piece.len == 0;
	bool has_to_send = tunnel->outbox_len > 0;
	bool can_read = tunnel->tcp_is_open && !has_to_send;
	short conn = (short)((can_receive ? POLLIN : 0) | (has_to_send ? POLLOUT : 0));
	short tcp = (short)((can_read ? POLLIN : 0) | (can_receive ? 0 : POLLOUT));
	struct pollfd polls[TUNNEL_POLLS] = {
		[TUNNEL_POLL_CONN] = { .fd = conn != 0 ? tunnel->client.fd : -1, .events = conn },
		[TUNNEL_POLL_TCP] = { .fd = tcp != 0 ? tunnel->tcp_fd : -1, .events = tcp },
	};
	int r = 0;

	if (poll(polls, TUNNEL_POLLS, -1) < 0)
		return errno == EINTR ? 0 : -errno;
	if (has_to_send && polls[TUNNEL_POLL_CONN].revents != 0)
		r = tunnel_send(tunnel);
	if (r == 0 && !can_receive && polls[TUNNEL_POLL_TCP].revents != 0)
		r = tunnel_take_all(tunnel);
	if (r == 0 && can_read && polls[TUNNEL_POLL_TCP].revents != 0)
		r = tunnel_read(tunnel);
	if (r == 0 && can_receive && polls[TUNNEL_POLL_CONN].revents != 0)
		r = tunnel_receive(tunnel);
	return r;
}

/* Asks for the connection in the guest, and waits for the word that it is made. */
static int
tunnel_connect(struct tunnel *tunnel, const char *host, uint16_t port, struct client_error *error)
{
	size_t len;
	char *json = port_target_format(host, port, &len);
	uint8_t type;
	char *text;
	int r = json == NULL ? -ENOMEM : client_send(&tunnel->client, VMM_GUEST_CONNECT, json, len);

	free(json);
	tunnel->client.deadline_ms = clock_mono_ms() + TUNNEL_CONNECT_MS;
	if (r == 0)
		r = client_receive_whole(&tunnel->client, &type, &text, &len);
	tunnel->client.deadline_ms = CLOCK_NEVER;
	if (r < 0) {
		client_explain(&tunnel->client, r, error);
		return r;
	}
	if (type != VMM_GUEST_STATUS) {
		text[strcspn(text, "\n")] = '\0';
		client_fail(error, "%s",
		    type == VMM_GUEST_STDERR ? text
					     : "the agent is too old to forward connections");
		r = -ECONNREFUSED;
	}
	free(text);
	return r;
}

int
tunnel_run(int tcp_fd, const char *host, uint16_t port, struct client_error *error)
{
	struct tunnel *tunnel = calloc(1, sizeof(*tunnel));
	int r = -ENOMEM;

	if (tunnel == NULL) {
		client_fail(error, "out of memory");
		return r;
	}
	tunnel->tcp_fd = tcp_fd;
	tunnel->tcp_is_open = true;
	r = client_open(
	    &tunnel->client, target_agent(), VMM_GUEST_EXEC_PORT, CLIENT_CONNECT_MS, error);
	if (r == 0) {
		r = tunnel_connect(tunnel, host, port, error);
		if (r == 0)
			r = fd_set_nonblock(tcp_fd, true);
		if (r == 0)
			r = tunnel_take_all(tunnel);
		while (r == 0 && !tunnel->is_over)
			r = tunnel_step(tunnel);
		if (r == 0 && tunnel->is_whole)
			tunnel_set_reset(tcp_fd, false);
		if (r < 0 && error->text[0] == '\0')
			client_fail(error, "a connection broke: %s",
			    r == -ENODATA ? "the agent closed it" : strerror(-r));
		client_close(&tunnel->client);
	}
	free(tunnel);
	return r;
}
