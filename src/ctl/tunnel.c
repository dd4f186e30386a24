/*
 * tunnel: one connection, carried into the guest.
 *
 * One piece of what the guest says is on its way out here, and as much on its way to the agent as
 * the handle has room for: what waits is what holds back its sender.
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
#include "platform/fd.h"
#include "platform/io_error.h"
#include "protocol/port_request.h"

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
	struct guest guest;
	int in_fd;
	int out_fd;	      /* of a connection, the same */
	struct output output; /* of standard output */
	bool is_standard;
	bool in_is_open;     /* there may still come something */
	bool guest_is_done;  /* it sends nothing any more, and our side has been told so */
	bool is_over;	     /* EXIT has come */
	bool is_whole;	     /* and said that all went well */
	struct io_lack lack; /* of the kernel's memory, for our side */
	const uint8_t *data; /* what is to be written here, of LEN bytes */
	size_t len;
};

void
tunnel_set_reset(int fd, bool on)
{
	const struct linger linger = { .l_onoff = on };

	(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
}

/* What a call on our side that failed with ERROR comes to: 0, it is tried again; or -errno. */
static int
tunnel_result(struct tunnel *tunnel, int error)
{
	switch (io_error_read(IO_CONNECTION, error)) {
	case IO_AGAIN:
	case IO_NOT_NOW:
		return 0;
	case IO_NO_MEMORY:
		return io_lack_bear(&tunnel->lack) ? 0 : -error;
	case IO_GONE:
	case IO_BROKEN:
		break;
	}
	return -error;
}

/* Takes what there is, or its end. Standard input may be shared: poll(2) has said that it can be
 * read. */
static int
tunnel_read(struct tunnel *tunnel)
{
	struct vmm_guest *handle = tunnel->guest.handle;
	int64_t n = vmm_guest_write_fd(handle, tunnel->in_fd, 0);

	if (n < 0 && n != -EPIPE)
		return tunnel_result(tunnel, (int)-n);
	tunnel->lack.since_ms = 0;
	/* Where nobody reads it any more, what the agent has said is still to be read. */
	tunnel->in_is_open = n > 0;
	if (n == 0)
		(void)vmm_guest_eof(handle);
	vmm_guest_step_found(handle, 0);
	return 0;
}

static int
tunnel_write(struct tunnel *tunnel)
{
	while (tunnel->len > 0) {
		ssize_t n = tunnel->is_standard
				? output_write(&tunnel->output, tunnel->data, tunnel->len)
				: send(tunnel->out_fd, tunnel->data, tunnel->len, MSG_NOSIGNAL);

		if (n < 0)
			return tunnel_result(tunnel, tunnel->is_standard ? (int)-n : errno);
		tunnel->lack.since_ms = 0;
		tunnel->data += n;
		tunnel->len -= (size_t)n;
	}
	return 0;
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

/* The agent sends EXIT 0 when both directions have come to their end. */
static int
tunnel_end(struct tunnel *tunnel)
{
	int code;
	int signal;

	tunnel->is_over = true;
	if (vmm_guest_exit(tunnel->guest.handle, &code, &signal) < 0)
		return guest_error(&tunnel->guest);
	tunnel->is_whole = tunnel->guest_is_done && code == VMM_GUEST_EXIT_OK;
	return 0;
}

/* Goes through what was received, as far as it is taken here. */
static int
tunnel_take_all(struct tunnel *tunnel)
{
	int r = tunnel_write(tunnel);
	const void *data;
	size_t len;

	while (r == 0 && tunnel->len == 0 && !tunnel->is_over) {
		switch (guest_next(&tunnel->guest, &data, &len)) {
		case VMM_GUEST_EVENT_NONE:
			return 0;
		case VMM_GUEST_EVENT_END:
			return tunnel_end(tunnel);
		case VMM_GUEST_EVENT_STDOUT:
			if (len == 0)
				tunnel_end_output(tunnel);
			tunnel->data = data;
			tunnel->len = len;
			r = tunnel_write(tunnel);
			break;
		default:
			break;
		}
	}
	return r;
}

/* One turn of the loop. A descriptor that nothing is wanted of is left out, as its
 * hang-up would be told again and again. */
static int
tunnel_step(struct tunnel *tunnel)
{
	struct vmm_guest *handle = tunnel->guest.handle;
	bool can_take = tunnel->len == 0;
	bool can_read = tunnel->in_is_open && vmm_guest_room(handle) > 0;
	short conn = (short)vmm_guest_events(handle);
	struct pollfd polls[TUNNEL_POLLS] = {
		[TUNNEL_POLL_CONN] = { .fd = conn != 0 ? vmm_guest_fd(handle) : -1,
		    .events = conn },
		[TUNNEL_POLL_IN] = { .fd = can_read ? tunnel->in_fd : -1, .events = POLLIN },
		[TUNNEL_POLL_OUT] = { .fd = can_take ? -1 : tunnel->out_fd, .events = POLLOUT },
	};
	int r = 0;

	if (poll(polls, TUNNEL_POLLS, can_take ? vmm_guest_timeout_ms(handle) : -1) < 0)
		return errno == EINTR ? 0 : -errno;
	vmm_guest_step_found(handle, polls[TUNNEL_POLL_CONN].revents);
	if (can_read && polls[TUNNEL_POLL_IN].revents != 0)
		r = tunnel_read(tunnel);
	return r < 0 ? r : tunnel_take_all(tunnel);
}

/* What it means that the agent has answered with something else than STATUS, or refused by its
 * own WORDS. */
static void
tunnel_explain(const struct tunnel_target *target, const char *words, struct client_error *error)
{
	if (words == NULL)
		client_fail(error, "the agent is too old to forward connections");
	else if (target->path != NULL && strstr(words, "'port' is missing") != NULL)
		client_fail(error, "the agent is too old to forward to Unix sockets");
	else
		client_fail(error, "%.*s", (int)strcspn(words, "\n"), words);
}

/* Waits for the word that the connection in the guest is made. */
static int
tunnel_wait_connected(
    struct tunnel *tunnel, const struct tunnel_target *target, struct client_error *error)
{
	const struct vmm_guest *handle = tunnel->guest.handle;
	const char *words;
	const void *data;
	size_t len;
	int code;
	int r;

	if (guest_wait(&tunnel->guest, &data, &len) == VMM_GUEST_EVENT_STATUS)
		return 0;
	words = vmm_guest_refusal(handle);
	r = guest_error(&tunnel->guest);
	if (words != NULL || r == 0 || vmm_guest_exit(handle, &code, &code) == 0) {
		tunnel_explain(target, words, error);
		return -ECONNREFUSED;
	}
	/* It was not --wait. */
	if (r == -ETIME && target_agent()->answer_ms == 0)
		r = -ETIMEDOUT;
	guest_explain(&tunnel->guest, r, error);
	return r;
}

/* Asks for the connection in the guest. */
static int
tunnel_connect(
    struct tunnel *tunnel, const struct tunnel_target *target, struct client_error *error)
{
	struct vmm_guest *handle = tunnel->guest.handle;
	size_t len;
	char *json = port_target_format(target->host, target->port, target->path, &len);
	int r;

	if (json == NULL) {
		client_fail(error, "out of memory");
		return -ENOMEM;
	}
	if (target_agent()->answer_ms == 0)
		(void)vmm_guest_set(handle, "first_ms", TUNNEL_CONNECT_MS);
	r = guest_begin(&tunnel->guest, "CONNECT", json, error);
	free(json);
	return r < 0 ? r : tunnel_wait_connected(tunnel, target, error);
}

static int
tunnel_carry(struct tunnel *tunnel, const struct tunnel_target *target, struct client_error *error)
{
	int r = guest_open(&tunnel->guest, target_agent(), error);

	if (r == 0)
		r = tunnel_connect(tunnel, target, error);
	if (r == 0 && !tunnel->is_standard)
		r = fd_set_nonblock(tunnel->in_fd, true);
	tunnel->in_is_open = true;
	if (r == 0)
		r = tunnel_take_all(tunnel);
	while (r == 0 && !tunnel->is_over)
		r = tunnel_step(tunnel);
	if (r < 0 && error->text[0] == '\0')
		client_fail(error, "a connection broke: %s",
		    r == -ENODATA ? "the agent closed it" : strerror(-r));
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
	tunnel->lack.max_ms = CLIENT_LACK_MS;
	return tunnel;
}

static void
tunnel_free(struct tunnel *tunnel)
{
	guest_close(&tunnel->guest);
	free(tunnel);
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
	tunnel_free(tunnel);
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
		const char *words = vmm_guest_refusal(tunnel->guest.handle);

		r = -ECONNRESET;
		words = words != NULL ? words : "the connection in the guest broke";
		client_fail(error, "%.*s", (int)strcspn(words, "\n"), words);
	}
	if (!tunnel->guest_is_done)
		output_close(&tunnel->output);
	tunnel_free(tunnel);
	return r;
}
