/*
 * tunnel: one connection, carried into the guest.
 *
 * As in attach.c: one frame at a time is on its way to the agent, one piece of a
 * frame on its way out here, and what waits is what holds back its sender.
 *
 * SPDX-License-Identifier: MIT
 */
#include "ctl/tunnel.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ctl/output.h"
#include "ctl/target.h"
#include "platform/clock.h"
#include "platform/fd.h"
#include "protocol/port_request.h"

#define TUNNEL_READ_LEN (64 * 1024)

/* For the agent to connect in the guest, which may take it as long as the kernel there
 * tries: two minutes (tcp(7), tcp_syn_retries). */
#define TUNNEL_CONNECT_MS 150000

enum {
	TUNNEL_POLL_CONN = 0,
	TUNNEL_POLL_IN,
	TUNNEL_POLL_OUT,
	TUNNEL_POLLS
};

struct tunnel {
	struct client client;
	int in_fd;
	int out_fd;	      /* of a connection, the same */
	struct output output; /* of standard output */
	bool is_standard;
	bool in_is_open;    /* there may still come something */
	bool guest_is_done; /* it sends nothing any more, and our side has been told so */
	bool is_over;	    /* EXIT has come */
	bool is_whole;	    /* and said that all went well */
	struct client_piece piece;
	struct client_error words; /* the agent's, of a connection that breaks */
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

/* Standard input may be shared: poll(2) has said that it can be read. */
static ssize_t
tunnel_try_read(struct tunnel *tunnel, uint8_t *data)
{
	ssize_t n;

	if (!tunnel->is_standard)
		return client_try_recv(&tunnel->client, tunnel->in_fd, data, TUNNEL_READ_LEN);
	n = read(tunnel->in_fd, data, TUNNEL_READ_LEN);
	if (n < 0)
		return errno == EINTR ? -EAGAIN : -errno;
	return n;
}

/* Takes what there is, or its end, into the empty outbox. */
static int
tunnel_read(struct tunnel *tunnel)
{
	ssize_t n = tunnel_try_read(tunnel, tunnel->outbox + VMM_GUEST_HEADER_LEN);

	if (n < 0)
		return n == -EAGAIN ? 0 : (int)n;
	tunnel->in_is_open = n > 0;
	frame_header_format(tunnel->outbox, n > 0 ? VMM_GUEST_STDIN : VMM_GUEST_EOF, (uint32_t)n);
	tunnel->outbox_len = VMM_GUEST_HEADER_LEN + (size_t)n;
	client_trace_out(&tunnel->client, tunnel->outbox, tunnel->outbox_len);
	return tunnel_send(tunnel);
}

static int
tunnel_write(struct tunnel *tunnel)
{
	while (tunnel->piece.len > 0) {
		const struct client_piece *piece = &tunnel->piece;
		ssize_t n =
		    tunnel->is_standard
			? output_write(&tunnel->output, piece->data, piece->len)
			: client_try_send(&tunnel->client, tunnel->out_fd, piece->data, piece->len);

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

/* Our side gets no more. Standard output is the file of others, too: what else they may
 * write there has to go somewhere. */
static void
tunnel_end_output(struct tunnel *tunnel)
{
	int CLEANUP_FD null_fd = -1;

	tunnel->guest_is_done = true;
	(void)shutdown(tunnel->out_fd, SHUT_WR);
	if (!tunnel->is_standard)
		return;
	output_close(&tunnel->output);
	null_fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
	if (null_fd >= 0)
		(void)dup2(null_fd, STDOUT_FILENO);
}

/* What the agent says of a connection that breaks. */
static void
tunnel_take_words(struct tunnel *tunnel, const struct client_piece *piece)
{
	const char *text = (const char *)piece->data;
	const char *end = memchr(text, '\n', piece->len);

	if (tunnel->words.text[0] == '\0')
		client_fail(&tunnel->words, "%.*s",
		    (int)(end != NULL ? end - text : (ptrdiff_t)piece->len), text);
}

/* Goes through what was received, as far as it is taken here. */
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
		if (piece.type == VMM_GUEST_STDERR)
			tunnel_take_words(tunnel, &piece);
		if (piece.type != VMM_GUEST_STDOUT)
			continue;
		if (piece.len == 0 && piece.first)
			tunnel_end_output(tunnel);
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
	bool can_read = tunnel->in_is_open && !has_to_send;
	short conn = (short)((can_receive ? POLLIN : 0) | (has_to_send ? POLLOUT : 0));
	struct pollfd polls[TUNNEL_POLLS] = {
		[TUNNEL_POLL_CONN] = { .fd = conn != 0 ? tunnel->client.fd : -1, .events = conn },
		[TUNNEL_POLL_IN] = { .fd = can_read ? tunnel->in_fd : -1, .events = POLLIN },
		[TUNNEL_POLL_OUT] = { .fd = can_receive ? -1 : tunnel->out_fd, .events = POLLOUT },
	};
	int r = 0;

	if (poll(polls, TUNNEL_POLLS, -1) < 0)
		return errno == EINTR ? 0 : -errno;
	if (has_to_send && polls[TUNNEL_POLL_CONN].revents != 0)
		r = tunnel_send(tunnel);
	if (r == 0 && !can_receive && polls[TUNNEL_POLL_OUT].revents != 0)
		r = tunnel_take_all(tunnel);
	if (r == 0 && can_read && polls[TUNNEL_POLL_IN].revents != 0)
		r = tunnel_read(tunnel);
	if (r == 0 && can_receive && polls[TUNNEL_POLL_CONN].revents != 0)
		r = tunnel_receive(tunnel);
	return r;
}

/* What it means that the agent answered with the TYPE frame TEXT instead of STATUS. */
static void
tunnel_explain(
    const struct tunnel_target *target, uint8_t type, char *text, struct client_error *error)
{
	text[strcspn(text, "\n")] = '\0';
	if (type != VMM_GUEST_STDERR)
		client_fail(error, "the agent is too old to forward connections");
	else if (target->path != NULL && strstr(text, "'port' is missing") != NULL)
		client_fail(error, "the agent is too old to forward to Unix sockets");
	else
		client_fail(error, "%s", text);
}

/* Asks for the connection in the guest, and waits for the word that it is made. */
static int
tunnel_connect(
    struct tunnel *tunnel, const struct tunnel_target *target, struct client_error *error)
{
	size_t len;
	char *json = port_target_format(target->host, target->port, target->path, &len);
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
		tunnel_explain(target, type, text, error);
		r = -ECONNREFUSED;
	}
	free(text);
	return r;
}

static int
tunnel_carry(struct tunnel *tunnel, const struct tunnel_target *target, struct client_error *error)
{
	int r = client_open(
	    &tunnel->client, target_agent(), VMM_GUEST_EXEC_PORT, CLIENT_CONNECT_MS, error);

	if (r < 0)
		return r;
	tunnel->in_is_open = true;
	r = tunnel_connect(tunnel, target, error);
	if (r == 0 && !tunnel->is_standard)
		r = fd_set_nonblock(tunnel->in_fd, true);
	if (r == 0)
		r = tunnel_take_all(tunnel);
	while (r == 0 && !tunnel->is_over)
		r = tunnel_step(tunnel);
	if (r < 0 && error->text[0] == '\0')
		client_fail(error, "a connection broke: %s",
		    r == -ENODATA ? "the agent closed it" : strerror(-r));
	client_close(&tunnel->client);
	return r;
}

static struct tunnel *
tunnel_new(int in_fd, int out_fd, struct client_error *error)
{
	struct tunnel *tunnel = calloc(1, sizeof(*tunnel));

	if (tunnel == NULL) {
		client_fail(error, "out of memory");
		return NULL;
	}
	tunnel->in_fd = in_fd;
	tunnel->out_fd = out_fd;
	return tunnel;
}

int
tunnel_run(int fd, const struct tunnel_target *target, struct client_error *error)
{
	struct tunnel *tunnel = tunnel_new(fd, fd, error);
	int r;

	if (tunnel == NULL)
		return -ENOMEM;
	r = tunnel_carry(tunnel, target, error);
	if (r == 0 && tunnel->is_whole)
		tunnel_set_reset(fd, false);
	free(tunnel);
	return r;
}

int
tunnel_run_standard(const struct tunnel_target *target, struct client_error *error)
{
	struct tunnel *tunnel = tunnel_new(STDIN_FILENO, -1, error);
	int r;

	if (tunnel == NULL)
		return -ENOMEM;
	output_open(&tunnel->output, STDOUT_FILENO);
	tunnel->out_fd = tunnel->output.fd;
	tunnel->is_standard = true;
	r = tunnel_carry(tunnel, target, error);
	if (r == 0 && !tunnel->is_whole) {
		r = -ECONNRESET;
		client_fail(error, "%s",
		    tunnel->words.text[0] != '\0' ? tunnel->words.text
						  : "the connection in the guest broke");
	}
	if (!tunnel->guest_is_done)
		output_close(&tunnel->output);
	free(tunnel);
	return r;
}
