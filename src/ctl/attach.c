/*
 * attach: the loop between the connection and the standard streams.
 *
 * One frame at a time is on its way out, in the outbox, and one piece of a frame
 * on its way to an output. While a piece waits for its reader nothing is received,
 * which is the back pressure that stops the program.
 *
 * SPDX-License-Identifier: MIT
 */
#include "ctl/attach.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ctl/attach_loop.h"
#include "ctl/signals.h"
#include "ctl/target.h"
#include "ctl/terminal.h"
#include "platform/clock.h"
#include "platform/io_error.h"

enum {
	ATTACH_POLL_SIGNALS = 0,
	ATTACH_POLL_CONN,
	ATTACH_POLL_STDIN,
	ATTACH_POLL_OUTPUT,
	ATTACH_POLLS
};

void
attach_end(struct attach *attach, enum attach_end end, int signal)
{
	attach->is_over = true;
	attach->result->end = end;
	attach->result->signal = signal;
}

void
attach_lose(struct attach *attach, int error)
{
	attach->behind = (struct client_piece){ 0 }; /* in the buffer of that connection */
	if (attach->session != NULL && attach_durable_lose(attach, error))
		return;
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

	if (!outbox_is_empty(&attach->outbox) || !attach->agent_listens || attach->awaits_attached)
		return;
	if (attach->signal_due != 0) {
		frame_signal_format(payload, attach->signal_due);
		attach->signal_due = 0;
		attach_put(attach, VMM_GUEST_SIGNAL, VMM_GUEST_SIGNAL_LEN);
	} else if (attach->resize_is_due && terminal_get_size(&size)) {
		frame_resize_format(payload, size);
		attach_put(attach, VMM_GUEST_RESIZE, VMM_GUEST_RESIZE_LEN);
		attach->resize_is_due = false;
	} else if (attach->session != NULL) {
		(void)attach_durable_put(attach);
	} else if (attach->eof_is_due) {
		attach_put(attach, VMM_GUEST_EOF, 0);
		attach->eof_is_due = false;
	}
}

/* What the agent said before it stopped listening is still to be read. */
static void
attach_send(struct attach *attach)
{
	int r = outbox_send(&attach->outbox, attach->client);

	if (r == 0)
		return;
	if (!client_is_gone(r) && attach->session == NULL) {
		attach_lose(attach, r);
		return;
	}
	attach->agent_listens = false;
	outbox_clear(&attach->outbox);
	if (attach->session == NULL)
		attach->stdin_is_open = false;
	else if (attach->session->is_known)
		(void)shutdown(attach->client->fd, SHUT_RDWR); /* we come back to what is left */
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

/* What was held, and is the program's, is shown before PIECE. Returns false if there is none. */
static bool
attach_show_words(struct attach *attach, const struct client_piece *piece)
{
	if (!attach_words_release(&attach->words, &attach->piece))
		return false;
	attach->piece_output = &attach->outputs[1];
	attach->behind = *piece;
	return true;
}

/* Takes one piece. With a terminal STDERR holds the agent's own words alone, which
 * are for a terminal that is not raw. */
static void
attach_take(struct attach *attach, struct client_piece *piece)
{
	if (piece->type != VMM_GUEST_EXIT && attach_show_words(attach, piece))
		return;
	if (attach->session != NULL && !attach_durable_take(attach, piece))
		return;
	switch (piece->type) {
	case VMM_GUEST_STDOUT:
		attach->words.has_begun = true;
		attach->piece_output = &attach->outputs[0];
		attach->piece = *piece;
		break;
	case VMM_GUEST_STDERR:
		if (attach_words_hold(&attach->words, piece))
			break;
		if (attach->tty)
			terminal_restore();
		attach->piece_output = &attach->outputs[1];
		attach->piece = *piece;
		break;
	case VMM_GUEST_STATUS:
		attach->words.has_begun = true;
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
		if (!attach->is_over && attach->session != NULL)
			attach_durable_shown(attach);
		if (attach->is_over || attach->piece.len > 0 || attach->client->fd < 0)
			return;
		piece = attach->behind;
		attach->behind = (struct client_piece){ 0 };
		if (piece.type == 0)
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

/* Whether a signal is for us alone: the program has its own terminal, which it comes by, or
 * its input is another's. */
static bool
attach_keeps_signals(const struct attach *attach)
{
	const struct durable *session = attach->session;

	return attach->tty ||
	       (session != NULL &&
		   (!session->wants_input || (attach->awaits_attached && !session->is_known)));
}

static void
attach_pass_signal(struct attach *attach, int signal)
{
	uint64_t now = clock_mono_ms();
	bool is_second = attach->signaled_ms != 0 && now - attach->signaled_ms <= ATTACH_FORCE_MS;

	if (attach_keeps_signals(attach) || is_second) {
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
attach_catch_signals(void)
{
	signals_catch(SIGINT);
	signals_catch(SIGTERM);
	signals_catch(SIGHUP);
	signals_catch(SIGQUIT);
}

void
attach_use_terminal(struct attach *attach)
{
	signals_catch(SIGWINCH);
	signals_catch(SIGTSTP);
	signals_catch(SIGCONT);
	if (attach->options->forward_stdin)
		terminal_make_raw();
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
	    (struct pollfd){ .fd = attach_wants_stdin(attach) ? STDIN_FILENO : -1,
		    .events = POLLIN };
	polls[ATTACH_POLL_OUTPUT] =
	    (struct pollfd){ .fd = can_receive ? -1 : attach->piece_output->fd, .events = POLLOUT };
}

/* Who gave the agent a time does not wait for another connection either. */
static void
attach_check_quiet(struct attach *attach)
{
	int r = attach->client->fd >= 0 ? client_check_quiet(attach->client) : 0;

	if (r == 0)
		return;
	client_explain(attach->client, r, &attach->result->error);
	attach_end(attach, ATTACH_LOST, 0);
}

static void
attach_step(struct attach *attach)
{
	static const struct client_piece nothing;
	struct pollfd polls[ATTACH_POLLS];
	uint64_t due_ms = CLOCK_NEVER;

	attach_put_due(attach);
	attach_set_polls(attach, polls);
	if (attach->session != NULL)
		due_ms = attach_durable_due_ms(attach);
	if (attach->words.len > 0)
		due_ms = clock_sooner(due_ms, attach->words.due_ms);
	if (attach->client->fd >= 0)
		due_ms = clock_sooner(due_ms, client_quiet_due_ms(attach->client));
	if (poll(polls, ATTACH_POLLS, clock_poll_timeout(clock_mono_ms(), due_ms)) < 0) {
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
	if (!attach->is_over && attach->piece.len == 0 && attach->client->fd >= 0 &&
	    (polls[ATTACH_POLL_CONN].revents & (POLLIN | POLLERR | POLLHUP)))
		attach_receive(attach);
	if (!attach->is_over && attach->words.len > 0 && clock_mono_ms() >= attach->words.due_ms) {
		(void)attach_show_words(attach, &nothing);
		attach_take_all(attach);
	}
	if (!attach->is_over)
		attach_check_quiet(attach);
	if (!attach->is_over && attach->session != NULL)
		attach_durable_act(attach);
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
		.tty = options->tty,
		.agent_listens = true,
		.stdin_is_open = options->forward_stdin,
		.eof_is_due = !options->forward_stdin,
		.session = options->durable != NULL ? &options->durable->session : NULL,
		.keys.due_ms = CLOCK_NEVER,
		.replay.due_ms = CLOCK_NEVER,
		.leave_ms = CLOCK_NEVER,
	};
	attach_catch_signals();
	output_open(&attach.outputs[0], STDOUT_FILENO);
	output_open(&attach.outputs[1], STDERR_FILENO);
	if (attach.session != NULL)
		attach_durable_begin(&attach);
	if (options->tty)
		attach_use_terminal(&attach);
	attach_take_all(&attach);
	while (!attach.is_over)
		attach_step(&attach);
	if (attach.session != NULL)
		attach_durable_done(&attach);
	terminal_restore();
	output_close(&attach.outputs[0]);
	output_close(&attach.outputs[1]);
	attach_words_say(&attach.words, &ret->exit);
}
