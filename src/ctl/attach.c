/*
 * attach: the loop between the connection and the standard streams.
 *
 * One frame at a time is on its way out, in the outbox, and one piece of a frame
 * on its way to an output. While a piece waits for its reader nothing is received,
 * which is the back pressure that stops the program; while the outbox waits for
 * the agent nothing is read from standard input.
 *
 * SPDX-License-Identifier: MIT
 */
#include "ctl/attach.h"
#include "ctl/core/outbox.h"
#include "ctl/keys.h"
#include "ctl/output.h"
#include "ctl/signals.h"
#include "ctl/target.h"
#include "ctl/terminal.h"
#include "platform/clock.h"
#include "platform/fd.h"
#include "platform/io_error.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	ATTACH_POLL_SIGNALS = 0,
	ATTACH_POLL_CONN,
	ATTACH_POLL_STDIN,
	ATTACH_POLL_OUTPUT,
	ATTACH_POLLS
};

struct attach {
	struct client *client;
	const struct attach_options *options;
	struct attach_result *result;
	bool is_over;

	struct outbox outbox;
	bool agent_listens; /* false once a send has failed: its words may still come */

	bool stdin_is_open;
	bool eof_is_due;
	bool resize_is_due;
	int signal_due;
	int signal_passed;
	uint64_t signaled_ms; /* when the last signal came that was passed on */

	struct keys_escape escape;

	struct output outputs[2];
	struct client_piece piece; /* what is left of it: piece.len */
	const struct output *piece_output;
};

static void
attach_end(struct attach *attach, enum attach_end end, int signal)
{
	attach->is_over = true;
	attach->result->end = end;
	attach->result->signal = signal;
}

static void
attach_lose(struct attach *attach, int error)
{
	client_explain(attach->client, error, &attach->result->error);
	if (error == -ENODATA)
		client_fail(&attach->result->error,
		    "the agent at %s closed the connection without saying how the program ended",
		    target_agent()->address);
	attach_end(attach, ATTACH_LOST, 0);
}

/* ---- to the agent ------------------------------------------------------- */

static void
attach_put(struct attach *attach, uint8_t type, size_t len)
{
	outbox_put(&attach->outbox, attach->client, type, len);
}

/* Puts what is due into the outbox if it is empty; signals go first. */
static void
attach_put_due(struct attach *attach)
{
	uint8_t *payload = outbox_payload(&attach->outbox);
	struct frame_resize size;

	if (!outbox_is_empty(&attach->outbox) || !attach->agent_listens)
		return;
	if (attach->signal_due != 0) {
		frame_signal_format(payload, attach->signal_due);
		attach->signal_due = 0;
		attach_put(attach, VMM_GUEST_SIGNAL, VMM_GUEST_SIGNAL_LEN);
	} else if (attach->resize_is_due && terminal_get_size(&size)) {
		frame_resize_format(payload, size);
		attach_put(attach, VMM_GUEST_RESIZE, VMM_GUEST_RESIZE_LEN);
		attach->resize_is_due = false;
	} else if (attach->eof_is_due) {
		attach_put(attach, VMM_GUEST_EOF, 0);
		attach->eof_is_due = false;
	}
}

static void
attach_send(struct attach *attach)
{
	int r = outbox_send(&attach->outbox, attach->client);

	if (r < 0 && !client_is_gone(r)) {
		attach_lose(attach, r);
	} else if (r < 0) {
		attach->agent_listens = false;
		attach->stdin_is_open = false;
		outbox_clear(&attach->outbox);
	}
}

static void
attach_read_stdin(struct attach *attach)
{
	uint8_t *payload = outbox_payload(&attach->outbox);
	ssize_t n = read(STDIN_FILENO, payload, OUTBOX_PAYLOAD_MAX);

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n < 0 && io_error_read(IO_PIPE, errno) == IO_NO_MEMORY) {
		io_error_pause();
		return;
	}
	/* A terminal that has gone is an end as well. */
	if (n < 0 && !(errno == EIO && isatty(STDIN_FILENO))) {
		client_fail(
		    &attach->result->error, "can't read standard input: %s", strerror(errno));
		attach_end(attach, ATTACH_LOST, 0);
		return;
	}
	if (n <= 0) {
		attach->stdin_is_open = false;
		attach->eof_is_due = true;
		return;
	}
	if (attach->options->tty &&
	    keys_complete_escape(&attach->escape, payload, (size_t)n, clock_mono_ms())) {
		attach_end(attach, ATTACH_SIGNALED, 0);
		return;
	}
	attach_put(attach, VMM_GUEST_STDIN, (size_t)n);
}

/* ---- from the agent ----------------------------------------------------- */

/* Writes on with the piece that is under way. */
static void
attach_write(struct attach *attach)
{
	while (attach->piece.len > 0) {
		ssize_t n =
		    output_write(attach->piece_output, attach->piece.data, attach->piece.len);

		if (n == -EAGAIN)
			return;
		if (n == -EPIPE) {
			attach_end(attach, ATTACH_SIGNALED, SIGPIPE);
			return;
		}
		if (n < 0) {
			client_fail(&attach->result->error, "can't write to standard %s: %s",
			    attach->piece_output == &attach->outputs[0] ? "output" : "error",
			    strerror((int)-n));
			attach_end(attach, ATTACH_LOST, 0);
			return;
		}
		attach->piece.data += n;
		attach->piece.len -= (size_t)n;
	}
}

/* Takes one piece. With a terminal STDERR holds the agent's own words alone, which
 * are for a terminal that is not raw. */
static void
attach_take(struct attach *attach, const struct client_piece *piece)
{
	switch (piece->type) {
	case VMM_GUEST_STDOUT:
		attach->piece_output = &attach->outputs[0];
		attach->piece = *piece;
		break;
	case VMM_GUEST_STDERR:
		if (attach->options->tty)
			terminal_restore();
		attach->piece_output = &attach->outputs[1];
		attach->piece = *piece;
		break;
	case VMM_GUEST_STATUS:
		if (attach->options->report != NULL && piece->first && piece->last)
			attach->options->report(
			    attach->options->argument, (const char *)piece->data, piece->len);
		break;
	case VMM_GUEST_EXIT:
		if (frame_exit_parse(piece->data, piece->len, &attach->result->exit) < 0)
			attach_lose(attach, -EMSGSIZE);
		else
			attach_end(attach, ATTACH_EXITED, attach->signal_passed);
		break;
	default:
		break;
	}
}

/* Goes through what was received, as far as the outputs take it. */
static void
attach_take_all(struct attach *attach)
{
	struct client_piece piece;
	int r = 0;

	while (!attach->is_over) {
		attach_write(attach);
		if (attach->is_over || attach->piece.len > 0)
			return;
		r = client_take(attach->client, &piece);
		if (r == -EAGAIN)
			return;
		if (r < 0)
			attach_lose(attach, r);
		else
			attach_take(attach, &piece);
	}
}

static void
attach_receive(struct attach *attach)
{
	int r = client_fill(attach->client);

	if (r == 0)
		attach_take_all(attach);
	else if (r != -EAGAIN)
		attach_lose(attach, r);
}

/* ---- signals ------------------------------------------------------------ */

/* Leaves the terminal as it was while we are stopped. */
static void
attach_stop(void)
{
	terminal_restore();
	(void)raise(SIGSTOP);
}

static void
attach_pass_signal(struct attach *attach, int signal)
{
	uint64_t now = clock_mono_ms();
	bool is_second = attach->signaled_ms != 0 && now - attach->signaled_ms <= ATTACH_FORCE_MS;

	if (attach->options->tty || is_second) {
		attach_end(attach, ATTACH_SIGNALED, signal);
		return;
	}
	attach->signal_due = signal;
	attach->signal_passed = signal;
	attach->signaled_ms = now;
}

static void
attach_take_signals(struct attach *attach)
{
	int signal;

	while (!attach->is_over && (signal = signals_take()) != 0) {
		switch (signal) {
		case SIGWINCH:
			attach->resize_is_due = true;
			break;
		case SIGTSTP:
			attach_stop();
			break;
		case SIGCONT:
			if (attach->options->forward_stdin)
				terminal_make_raw();
			attach->resize_is_due = true;
			break;
		default:
			attach_pass_signal(attach, signal);
			break;
		}
	}
}

static void
attach_catch_signals(const struct attach_options *options)
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
attach_set_polls(const struct attach *attach, struct pollfd polls[ATTACH_POLLS])
{
	bool can_receive = attach->piece.len == 0;
	bool has_to_send = !outbox_is_empty(&attach->outbox);
	short conn = (short)((can_receive ? POLLIN : 0) | (has_to_send ? POLLOUT : 0));

	polls[ATTACH_POLL_SIGNALS] = (struct pollfd){ .fd = signals_fd(), .events = POLLIN };
	polls[ATTACH_POLL_CONN] =
	    (struct pollfd){ .fd = conn != 0 ? attach->client->fd : -1, .events = conn };
	polls[ATTACH_POLL_STDIN] =
	    (struct pollfd){ .fd = attach->stdin_is_open && !has_to_send ? STDIN_FILENO : -1,
		    .events = POLLIN };
	polls[ATTACH_POLL_OUTPUT] =
	    (struct pollfd){ .fd = can_receive ? -1 : attach->piece_output->fd, .events = POLLOUT };
}

static void
attach_step(struct attach *attach)
{
	struct pollfd polls[ATTACH_POLLS];

	attach_put_due(attach);
	attach_set_polls(attach, polls);
	if (poll(polls, ATTACH_POLLS, -1) < 0) {
		if (errno == ENOMEM)
			io_error_pause();
		return;
	}
	if (polls[ATTACH_POLL_SIGNALS].revents != 0)
		attach_take_signals(attach);
	if (!attach->is_over && polls[ATTACH_POLL_OUTPUT].revents != 0)
		attach_take_all(attach);
	if (!attach->is_over && (polls[ATTACH_POLL_CONN].revents & (POLLOUT | POLLERR | POLLHUP)) &&
	    !outbox_is_empty(&attach->outbox))
		attach_send(attach);
	if (!attach->is_over && polls[ATTACH_POLL_STDIN].revents != 0)
		attach_read_stdin(attach);
	if (!attach->is_over && attach->piece.len == 0 &&
	    (polls[ATTACH_POLL_CONN].revents & (POLLIN | POLLERR | POLLHUP)))
		attach_receive(attach);
}

void
attach_run(struct client *client, const struct attach_options *options, struct attach_result *ret)
{
	static struct attach attach;

	*ret = (struct attach_result){ 0 };
	attach = (struct attach){
		.client = client,
		.options = options,
		.result = ret,
		.agent_listens = true,
		.stdin_is_open = options->forward_stdin,
		.eof_is_due = !options->forward_stdin,
	};
	attach_catch_signals(options);
	output_open(&attach.outputs[0], STDOUT_FILENO);
	output_open(&attach.outputs[1], STDERR_FILENO);
	if (options->tty && options->forward_stdin)
		terminal_make_raw();
	attach_take_all(&attach);
	while (!attach.is_over)
		attach_step(&attach);
	terminal_restore();
	output_close(&attach.outputs[0]);
	output_close(&attach.outputs[1]);
}
