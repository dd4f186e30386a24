/*
 * relay: a program of the guest and this program's standard streams.
 *
 * One frame at a time is on its way out, in the outbox, and one piece of a frame
 * on its way to a sink. While a piece waits for its reader nothing is received,
 * which is the back pressure that stops the program; while the outbox waits for
 * the agent nothing is read from standard input.
 */
#include "ctl/relay.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ctl/signals.h"
#include "ctl/sink.h"
#include "ctl/terminal.h"
#include "platform/clock.h"
#include "platform/fd.h"
#include "platform/io_error.h"

#define RELAY_STDIN_LEN (64 * 1024)

enum {
	RELAY_POLL_SIGNALS = 0,
	RELAY_POLL_CONN,
	RELAY_POLL_STDIN,
	RELAY_POLL_SINK,
	RELAY_POLLS
};

struct relay {
	struct client *client;
	const struct relay_options *options;
	struct relay_result *result;
	bool is_over;

	uint8_t outbox[VMM_GUEST_HEADER_LEN + RELAY_STDIN_LEN];
	size_t outbox_sent;
	size_t outbox_len;
	bool agent_listens; /* false once a send has failed: its words may still come */

	bool stdin_is_open;
	bool eof_is_due;
	bool resize_is_due;
	int signal_due;
	int signal_passed;
	uint64_t signaled_ms; /* when the last signal came that was passed on */

	unsigned escapes;
	uint64_t escaped_ms;

	struct sink sinks[2];
	struct client_piece piece; /* what is left of it: piece.len */
	const struct sink *piece_sink;
};

static void
relay_end(struct relay *relay, enum relay_end end, int signal)
{
	relay->is_over = true;
	relay->result->end = end;
	relay->result->signal = signal;
}

static void
relay_lose(struct relay *relay, int error)
{
	client_explain(relay->client, error, &relay->result->error);
	if (error == -ENODATA)
		client_fail(&relay->result->error,
		    "the agent at %s closed the connection without saying how the program ended",
		    client_address());
	relay_end(relay, RELAY_LOST, 0);
}

/* ---- to the agent ------------------------------------------------------- */

static void
relay_put(struct relay *relay, uint8_t type, size_t len)
{
	frame_header_format(relay->outbox, type, (uint32_t)len);
	relay->outbox_sent = 0;
	relay->outbox_len = VMM_GUEST_HEADER_LEN + len;
}

/* Puts what is due into the outbox if it is empty; signals go first. */
static void
relay_put_due(struct relay *relay)
{
	uint8_t *payload = relay->outbox + VMM_GUEST_HEADER_LEN;
	struct frame_resize size;

	if (relay->outbox_len > 0 || !relay->agent_listens)
		return;
	if (relay->signal_due != 0) {
		frame_signal_format(payload, relay->signal_due);
		relay->signal_due = 0;
		relay_put(relay, VMM_GUEST_SIGNAL, VMM_GUEST_SIGNAL_LEN);
	} else if (relay->resize_is_due && terminal_get_size(&size)) {
		frame_resize_format(payload, size);
		relay_put(relay, VMM_GUEST_RESIZE, VMM_GUEST_RESIZE_LEN);
		relay->resize_is_due = false;
	} else if (relay->eof_is_due) {
		relay_put(relay, VMM_GUEST_EOF, 0);
		relay->eof_is_due = false;
	}
}

static void
relay_send(struct relay *relay)
{
	ssize_t n = client_try_send(relay->client, relay->client->fd,
	    relay->outbox + relay->outbox_sent, relay->outbox_len - relay->outbox_sent);

	if (n == -EAGAIN)
		return;
	if (n < 0 && !client_is_gone((int)n)) {
		relay_lose(relay, (int)n);
		return;
	}
	if (n < 0) {
		relay->agent_listens = false;
		relay->stdin_is_open = false;
		relay->outbox_len = 0;
		return;
	}
	relay->outbox_sent += (size_t)n;
	if (relay->outbox_sent == relay->outbox_len)
		relay->outbox_len = 0;
}

/* Whether the LEN bytes that were typed complete the escape. */
static bool
relay_is_escape(struct relay *relay, const uint8_t *typed, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (typed[i] != RELAY_ESCAPE) {
			relay->escapes = 0;
			continue;
		}
		if (relay->escapes == 0 || clock_mono_ms() - relay->escaped_ms > RELAY_ESCAPE_MS) {
			relay->escapes = 0;
			relay->escaped_ms = clock_mono_ms();
		}
		if (++relay->escapes == RELAY_ESCAPE_COUNT)
			return true;
	}
	return false;
}

static void
relay_read_stdin(struct relay *relay)
{
	uint8_t *payload = relay->outbox + VMM_GUEST_HEADER_LEN;
	ssize_t n = read(STDIN_FILENO, payload, RELAY_STDIN_LEN);

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n < 0 && io_error_read(IO_PIPE, errno) == IO_NO_MEMORY) {
		io_error_pause();
		return;
	}
	/* A terminal that has gone is an end as well. */
	if (n < 0 && !(errno == EIO && isatty(STDIN_FILENO))) {
		client_fail(
		    &relay->result->error, "can't read standard input: %s", strerror(errno));
		relay_end(relay, RELAY_LOST, 0);
		return;
	}
	if (n <= 0) {
		relay->stdin_is_open = false;
		relay->eof_is_due = true;
		return;
	}
	if (relay->options->tty && relay_is_escape(relay, payload, (size_t)n)) {
		relay_end(relay, RELAY_SIGNALED, 0);
		return;
	}
	relay_put(relay, VMM_GUEST_STDIN, (size_t)n);
}

/* ---- from the agent ----------------------------------------------------- */

/* Writes on with the piece that is under way. */
static void
relay_write(struct relay *relay)
{
	while (relay->piece.len > 0) {
		ssize_t n = sink_write(relay->piece_sink, relay->piece.data, relay->piece.len);

		if (n == -EAGAIN)
			return;
		if (n == -EPIPE) {
			relay_end(relay, RELAY_SIGNALED, SIGPIPE);
			return;
		}
		if (n < 0) {
			client_fail(&relay->result->error, "can't write to standard %s: %s",
			    relay->piece_sink == &relay->sinks[0] ? "output" : "error",
			    strerror((int)-n));
			relay_end(relay, RELAY_LOST, 0);
			return;
		}
		relay->piece.data += n;
		relay->piece.len -= (size_t)n;
	}
}

/* Takes one piece. With a terminal STDERR holds the agent's own words alone, which
 * are for a terminal that is not raw. */
static void
relay_take(struct relay *relay, const struct client_piece *piece)
{
	switch (piece->type) {
	case VMM_GUEST_STDOUT:
		relay->piece_sink = &relay->sinks[0];
		relay->piece = *piece;
		break;
	case VMM_GUEST_STDERR:
		if (relay->options->tty)
			terminal_restore();
		relay->piece_sink = &relay->sinks[1];
		relay->piece = *piece;
		break;
	case VMM_GUEST_STATUS:
		if (relay->options->report != NULL && piece->first && piece->last)
			relay->options->report(
			    relay->options->argument, (const char *)piece->data, piece->len);
		break;
	case VMM_GUEST_EXIT:
		if (frame_exit_parse(piece->data, piece->len, &relay->result->exit) < 0)
			relay_lose(relay, -EMSGSIZE);
		else
			relay_end(relay, RELAY_EXITED, relay->signal_passed);
		break;
	default:
		break;
	}
}

/* Goes through what was received, as far as the sinks take it. */
static void
relay_take_all(struct relay *relay)
{
	struct client_piece piece;
	int r = 0;

	while (!relay->is_over) {
		relay_write(relay);
		if (relay->is_over || relay->piece.len > 0)
			return;
		r = client_take(relay->client, &piece);
		if (r == -EAGAIN)
			return;
		if (r < 0)
			relay_lose(relay, r);
		else
			relay_take(relay, &piece);
	}
}

static void
relay_receive(struct relay *relay)
{
	int r = client_fill(relay->client);

	if (r == 0)
		relay_take_all(relay);
	else if (r != -EAGAIN)
		relay_lose(relay, r);
}

/* ---- signals ------------------------------------------------------------ */

/* Leaves the terminal as it was while we are stopped. */
static void
relay_stop(void)
{
	terminal_restore();
	(void)raise(SIGSTOP);
}

static void
relay_pass_signal(struct relay *relay, int signal)
{
	uint64_t now = clock_mono_ms();
	bool is_second = relay->signaled_ms != 0 && now - relay->signaled_ms <= RELAY_FORCE_MS;

	if (relay->options->tty || is_second) {
		relay_end(relay, RELAY_SIGNALED, signal);
		return;
	}
	relay->signal_due = signal;
	relay->signal_passed = signal;
	relay->signaled_ms = now;
}

static void
relay_take_signals(struct relay *relay)
{
	int signal;

	while (!relay->is_over && (signal = signals_take()) != 0) {
		switch (signal) {
		case SIGWINCH:
			relay->resize_is_due = true;
			break;
		case SIGTSTP:
			relay_stop();
			break;
		case SIGCONT:
			if (relay->options->forward_stdin)
				terminal_make_raw();
			relay->resize_is_due = true;
			break;
		default:
			relay_pass_signal(relay, signal);
			break;
		}
	}
}

static void
relay_catch_signals(const struct relay_options *options)
{
	signals_catch(SIGINT);
	signals_catch(SIGTERM);
	signals_catch(SIGHUP);
	signals_catch(SIGQUIT);
	if (options->tty) {
		signals_catch(SIGWINCH);
		signals_catch(SIGTSTP);
		signals_catch(SIGCONT);
	}
}

/* ---- the loop ----------------------------------------------------------- */

/* What to wait for; a descriptor that nothing is wanted of is left out, as its
 * hang-up would be told again and again. */
static void
relay_set_polls(const struct relay *relay, struct pollfd polls[RELAY_POLLS])
{
	bool can_receive = relay->piece.len == 0;
	bool has_to_send = relay->outbox_len > 0;
	short conn = (short)((can_receive ? POLLIN : 0) | (has_to_send ? POLLOUT : 0));

	polls[RELAY_POLL_SIGNALS] = (struct pollfd){ .fd = signals_fd(), .events = POLLIN };
	polls[RELAY_POLL_CONN] =
	    (struct pollfd){ .fd = conn != 0 ? relay->client->fd : -1, .events = conn };
	polls[RELAY_POLL_STDIN] =
	    (struct pollfd){ .fd = relay->stdin_is_open && !has_to_send ? STDIN_FILENO : -1,
		    .events = POLLIN };
	polls[RELAY_POLL_SINK] =
	    (struct pollfd){ .fd = can_receive ? -1 : relay->piece_sink->fd, .events = POLLOUT };
}

static void
relay_step(struct relay *relay)
{
	struct pollfd polls[RELAY_POLLS];

	relay_put_due(relay);
	relay_set_polls(relay, polls);
	if (poll(polls, RELAY_POLLS, -1) < 0) {
		if (errno == ENOMEM)
			io_error_pause();
		return;
	}
	if (polls[RELAY_POLL_SIGNALS].revents != 0)
		relay_take_signals(relay);
	if (!relay->is_over && polls[RELAY_POLL_SINK].revents != 0)
		relay_take_all(relay);
	if (!relay->is_over && (polls[RELAY_POLL_CONN].revents & (POLLOUT | POLLERR | POLLHUP)) &&
	    relay->outbox_len > 0)
		relay_send(relay);
	if (!relay->is_over && polls[RELAY_POLL_STDIN].revents != 0)
		relay_read_stdin(relay);
	if (!relay->is_over && relay->piece.len == 0 &&
	    (polls[RELAY_POLL_CONN].revents & (POLLIN | POLLERR | POLLHUP)))
		relay_receive(relay);
}

void
relay_run(struct client *client, const struct relay_options *options, struct relay_result *ret)
{
	static struct relay relay;

	*ret = (struct relay_result){ 0 };
	relay = (struct relay){
		.client = client,
		.options = options,
		.result = ret,
		.agent_listens = true,
		.stdin_is_open = options->forward_stdin,
		.eof_is_due = !options->forward_stdin,
	};
	relay_catch_signals(options);
	sink_open(&relay.sinks[0], STDOUT_FILENO);
	sink_open(&relay.sinks[1], STDERR_FILENO);
	if (options->tty && options->forward_stdin)
		terminal_make_raw();
	relay_take_all(&relay);
	while (!relay.is_over)
		relay_step(&relay);
	terminal_restore();
	sink_close(&relay.sinks[0]);
	sink_close(&relay.sinks[1]);
}
