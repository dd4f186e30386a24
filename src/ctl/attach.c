/*
 * attach: the loop between the library's handle and the standard streams.
 *
 * One piece of output at a time is on its way to a stream. While it waits for its reader the
 * handle is asked for no other, and receives nothing, which is the back pressure that stops the
 * program.
 *
 * SPDX-License-Identifier: MIT
 */
#include "ctl/attach.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ctl/attach_loop.h"
#include "ctl/command.h"
#include "ctl/signals.h"
#include "ctl/terminal.h"
#include "platform/clock.h"
#include "platform/io_error.h"
#include "platform/text.h"

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
attach_lose(struct attach *attach, const char *format, ...)
{
	char text[sizeof(attach->result->error.text)];
	va_list args;

	va_start(args, format);
	(void)text_format_args(text, sizeof(text), format, args);
	va_end(args);
	client_fail(&attach->result->error, "%s", text);
	attach_end(attach, ATTACH_LOST, 0);
}

void
attach_lose_unsaid(struct attach *attach)
{
	attach_lose(attach,
	    "the agent at %s closed the connection without saying how the program ended",
	    attach->guest->target->address);
}

/* ---- from the agent ----------------------------------------------------- */

/* Writes on with the piece that is under way. */
static void
attach_write(struct attach *attach)
{
	while (attach->piece_len > 0) {
		ssize_t n = output_write(attach->piece_output, attach->piece, attach->piece_len);

		if (n == -EAGAIN)
			return;
		if (n == -EPIPE) {
			attach_end(attach, ATTACH_SIGNALED, SIGPIPE);
			return;
		}
		if (n < 0) {
			attach_lose(attach, "can't write to standard %s: %s",
			    attach->piece_output == &attach->outputs[0] ? "output" : "error",
			    strerror((int)-n));
			return;
		}
		attach->piece += n;
		attach->piece_len -= (size_t)n;
	}
}

void
attach_show(struct attach *attach, unsigned output, const void *data, size_t len)
{
	attach->piece = data;
	attach->piece_len = len;
	attach->piece_output = &attach->outputs[output];
}

/* The operation is over: by what the agent said, or without. */
static void
attach_finish(struct attach *attach)
{
	struct attach_result *result = attach->result;
	int error = guest_error(attach->guest);
	int code;
	int signal;

	if (vmm_guest_exit(attach->guest->handle, &code, &signal) == 0) {
		result->exit = (struct frame_exit){ .code = code, .signal = signal };
		attach_end(attach, ATTACH_EXITED, attach->signal_passed);
	} else if (error == -ENODATA) {
		attach_lose_unsaid(attach);
	} else {
		guest_explain(attach->guest, error, &result->error);
		attach_end(attach, ATTACH_LOST, 0);
	}
}

/* With a terminal STDERR holds the agent's own words alone, which are for a terminal that is not
 * raw. */
static void
attach_take(struct attach *attach, enum vmm_guest_event event, const void *data, size_t len)
{
	if (attach->durable != NULL && !attach_durable_take(attach, event, data, len))
		return;
	switch (event) {
	case VMM_GUEST_EVENT_STDOUT:
		attach_show(attach, 0, data, len);
		break;
	case VMM_GUEST_EVENT_STDERR:
		if (attach->tty)
			terminal_restore();
		attach_show(attach, 1, data, len);
		break;
	case VMM_GUEST_EVENT_STATUS:
		if (attach->options->report != NULL)
			attach->options->report(attach->options->argument, data, len);
		break;
	case VMM_GUEST_EVENT_END:
		attach_finish(attach);
		break;
	default:
		break;
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

/* The agent is being asked: from now on signals, and keys, are the program's. */
static void
attach_ask(struct attach *attach)
{
	attach->is_asked = true;
	attach_catch_signals();
	if (attach->options->tty)
		attach_use_terminal(attach);
}

/* Goes through what has happened, as far as the outputs take it. */
static void
attach_take_all(struct attach *attach)
{
	enum vmm_guest_event event = VMM_GUEST_EVENT_QUIET;
	const void *data;
	size_t len;

	while (!attach->is_over && event != VMM_GUEST_EVENT_NONE) {
		attach_write(attach);
		if (!attach->is_over && attach->durable != NULL)
			attach_durable_shown(attach);
		if (attach->is_over || attach->piece_len > 0)
			return;
		event = guest_next(attach->guest, &data, &len);
		if (!attach->is_asked &&
		    vmm_guest_reached(attach->guest->handle) >= VMM_GUEST_REACHED_AGENT)
			attach_ask(attach);
		attach_take(attach, event, data, len);
	}
}

/* What the agent said on why it could not serve, or lost the program's worker, with this program's
 * name in front and nothing in it that is not printable. */
static void
attach_say_refusal(const struct attach *attach)
{
	const struct frame_exit *end = &attach->result->exit;
	const char *words = vmm_guest_refusal(attach->guest->handle);

	if (words == NULL || attach->result->end != ATTACH_EXITED)
		return;
	if (end->signal == 0 && end->code >= VMM_GUEST_EXIT_AGENT &&
	    end->code <= VMM_GUEST_EXIT_NOT_FOUND)
		(void)command_fail("%.*s", (int)strcspn(words, "\n"), words);
	else
		(void)fprintf(stderr, "%s\n", words);
}

/* ---- signals ------------------------------------------------------------ */

/* Leaves the terminal as it was while we are stopped. */
static void
attach_stop(void)
{
	terminal_restore();
	(void)raise(SIGSTOP);
}

void
attach_tell_size(const struct attach *attach)
{
	struct frame_resize size;

	if (terminal_get_size(&size))
		(void)vmm_guest_resize(attach->guest->handle, size.columns, size.rows);
}

/* Whether a signal is for us alone: the program has its own terminal, which it comes by, or
 * its input is another's. */
static bool
attach_keeps_signals(const struct attach *attach)
{
	const struct attach_durable *durable = attach->durable;

	return attach->tty ||
	       (durable != NULL &&
		   (!durable->takes_input || (durable->is_asked_for && !durable->is_known)));
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
	(void)vmm_guest_signal(attach->guest->handle, signal);
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
			attach_tell_size(attach);
			break;
		case SIGTSTP:
			attach_stop();
			break;
		case SIGCONT:
			if (attach->options->forward_stdin)
				terminal_make_raw();
			attach_tell_size(attach);
			break;
		default:
			attach_pass_signal(attach, signal);
			break;
		}
	}
}

/* ---- the loop ----------------------------------------------------------- */

/* What to wait for; a descriptor that nothing is wanted of is left out, as its
 * hang-up would be told again and again. */
static void
attach_set_polls(const struct attach *attach, struct pollfd polls[ATTACH_POLLS])
{
	short conn = (short)vmm_guest_events(attach->guest->handle);

	polls[ATTACH_POLL_SIGNALS] = (struct pollfd){ .fd = signals_fd(), .events = POLLIN };
	polls[ATTACH_POLL_CONN] =
	    (struct pollfd){ .fd = conn != 0 ? vmm_guest_fd(attach->guest->handle) : -1,
		    .events = conn };
	polls[ATTACH_POLL_STDIN] =
	    (struct pollfd){ .fd = attach_wants_stdin(attach) ? STDIN_FILENO : -1,
		    .events = POLLIN };
	polls[ATTACH_POLL_OUTPUT] =
	    (struct pollfd){ .fd = attach->piece_len > 0 ? attach->piece_output->fd : -1,
		    .events = POLLOUT };
}

/* How long to wait; what is due of the handle is so once the piece was written. */
static int
attach_timeout_ms(const struct attach *attach)
{
	uint64_t due_ms = attach->durable != NULL ? attach_durable_due_ms(attach) : CLOCK_NEVER;
	int own_ms = clock_poll_timeout(clock_mono_ms(), due_ms);
	int its_ms = attach->piece_len > 0 ? -1 : vmm_guest_timeout_ms(attach->guest->handle);

	return own_ms < 0 || (its_ms >= 0 && its_ms < own_ms) ? its_ms : own_ms;
}

static void
attach_step(struct attach *attach)
{
	struct vmm_guest *handle = attach->guest->handle;
	struct pollfd polls[ATTACH_POLLS];

	attach_set_polls(attach, polls);
	if (poll(polls, ATTACH_POLLS, attach_timeout_ms(attach)) < 0) {
		if (errno == ENOMEM)
			io_error_pause();
		return;
	}
	if (polls[ATTACH_POLL_SIGNALS].revents != 0)
		attach_take_signals(attach);
	if (!attach->is_over && polls[ATTACH_POLL_OUTPUT].revents != 0)
		attach_take_all(attach);
	if (!attach->is_over)
		vmm_guest_step_found(handle, polls[ATTACH_POLL_CONN].revents);
	if (!attach->is_over && polls[ATTACH_POLL_STDIN].revents != 0) {
		attach_read_stdin(attach);
		vmm_guest_step_found(handle, 0);
	}
	attach_take_all(attach);
	if (!attach->is_over && attach->durable != NULL)
		attach_durable_act(attach);
}

void
attach_run(struct guest *guest, const struct attach_options *options, struct attach_result *ret)
{
	static struct attach attach;

	*ret = (struct attach_result){ 0 };
	attach = (struct attach){
		.guest = guest,
		.options = options,
		.result = ret,
		.tty = options->tty,
		.stdin_is_open = options->forward_stdin,
		.durable = options->durable,
		.keys.due_ms = CLOCK_NEVER,
		.replay.due_ms = CLOCK_NEVER,
		.leave_ms = CLOCK_NEVER,
	};
	output_open(&attach.outputs[0], STDOUT_FILENO);
	output_open(&attach.outputs[1], STDERR_FILENO);
	if (attach.durable != NULL)
		attach_durable_begin(&attach);
	else if (!options->forward_stdin)
		(void)vmm_guest_eof(guest->handle);
	vmm_guest_step_found(guest->handle, 0);
	while (!attach.is_over)
		attach_step(&attach);
	if (attach.durable != NULL && ret->end != ATTACH_EXITED && attach.tty && terminal_is_raw())
		terminal_leave_screen();
	terminal_restore();
	output_close(&attach.outputs[0]);
	output_close(&attach.outputs[1]);
	attach_say_refusal(&attach);
}
