/*
 * The loop: the connection, the program or our input, and signals.
 *
 * While the guest stands still no byte goes either way, and no time of ours ends that: a
 * virtual machine that is paused for a snapshot is silent, and its own time stands.
 *
 * SPDX-License-Identifier: MIT
 */
#include "ctl/hold.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ctl/command.h"
#include "ctl/hold_state.h"
#include "ctl/host_program.h"
#include "ctl/signals.h"
#include "platform/clock.h"
#include "platform/io_error.h"

#define HOLD_INPUT_MAX 512

enum {
	HOLD_POLL_SIGNALS,
	HOLD_POLL_CONN,
	HOLD_POLL_INPUT,
	HOLD_POLLS
};

void
hold_begin(struct hold *hold)
{
	char **argv = hold->options->argv;
	int r;

	hold->waits_for_input = argv == NULL;
	if (argv == NULL)
		return;
	r = host_program_start(argv, &hold->pid);
	if (r == 0)
		return;
	hold->pid = 0;
	hold->status = host_program_complain(argv[0], r);
	hold_thaw(hold);
}

/* ---- signals ------------------------------------------------------------------ */

static void
hold_take_child(struct hold *hold)
{
	int status;

	if (hold->pid == 0 || !host_program_has_ended(hold->pid, &status))
		return;
	hold->pid = 0;
	hold->status = host_program_exit_status(status);
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGINT && hold->was_interrupted)
		hold->signal = SIGINT;
	hold_thaw(hold);
}

/* What is typed is the program's, and whether it ends by that; TERM and HUP are for us, too.
 * The second one does not wait for anything. */
static void
hold_take_signal(struct hold *hold, int signal, bool is_sent)
{
	bool is_typed = signal == SIGINT || signal == SIGQUIT;

	hold->was_interrupted = hold->was_interrupted || signal == SIGINT;
	if (hold->pid != 0 && is_sent)
		(void)kill(hold->pid, signal);
	if (hold->pid != 0 && is_typed)
		return;
	if (hold->signal != 0 || (hold->phase == HOLD_THAWING && hold->pid == 0))
		signals_die(signal);
	if (!hold->waits_for_input || signal != SIGINT)
		hold->signal = signal;
	hold_thaw(hold);
}

static void
hold_take_signals(struct hold *hold)
{
	bool is_sent;
	int signal;

	while ((signal = signals_take_sent(&is_sent)) != 0) {
		if (signal != SIGCHLD)
			hold_take_signal(hold, signal, is_sent);
	}
}

/* ---- our input ---------------------------------------------------------------- */

/* To read from a terminal in the background would stop us, while the guest stands still. */
static bool
hold_may_read(const struct hold *hold)
{
	return hold->waits_for_input &&
	       (!isatty(STDIN_FILENO) || tcgetpgrp(STDIN_FILENO) == getpgrp());
}

static void
hold_read_input(struct hold *hold)
{
	char dropped[HOLD_INPUT_MAX];
	ssize_t n;

	if (!hold_may_read(hold))
		return;
	n = read(STDIN_FILENO, dropped, sizeof(dropped));
	if (n == 0 || (n < 0 && errno != EINTR && errno != EAGAIN))
		hold_thaw(hold);
}

/* ---- the loop ------------------------------------------------------------------- */

static void
hold_step(struct hold *hold)
{
	struct vmm_guest *handle = hold->guest.handle;
	bool goes_on = hold->end == HOLD_GOES_ON;
	int events = goes_on ? vmm_guest_events(handle) : 0;
	struct pollfd polls[HOLD_POLLS] = {
		[HOLD_POLL_SIGNALS] = { .fd = signals_fd(), .events = POLLIN },
		[HOLD_POLL_CONN] = { .fd = events != 0 ? vmm_guest_fd(handle) : -1,
		    .events = (short)events },
		[HOLD_POLL_INPUT] = { .fd = hold_may_read(hold) ? STDIN_FILENO : -1,
		    .events = POLLIN },
	};
	uint64_t due_ms =
	    goes_on ? clock_sooner(hold->deadline_ms, guest_due_ms(&hold->guest)) : CLOCK_NEVER;
	int n = poll(polls, HOLD_POLLS, clock_poll_timeout(clock_mono_ms(), due_ms));

	if (n < 0 && errno == ENOMEM)
		io_error_pause();
	if (n == 0 && clock_mono_ms() >= hold->deadline_ms)
		hold_expire(hold);
	if (hold->end == HOLD_GOES_ON)
		vmm_guest_step(handle);
	hold_take_all(hold);
	if (n > 0 && polls[HOLD_POLL_INPUT].revents != 0)
		hold_read_input(hold);
	/* A signal may be seen after the program has ended by it: it is still the program's. */
	hold_take_signals(hold);
	hold_take_child(hold);
	/* What has come with the THAW that was sent meanwhile. */
	hold_take_all(hold);
}

/* Whether the guest stood still until we were through. Where a snapshot was taken, the end
 * of the connection does not say that it did not, nor does silence. */
static bool
hold_is_good(const struct hold *hold)
{
	if (hold->end == HOLD_THAWED)
		return hold->why == QUIESCE_THAW_HOST && !hold->is_told;
	return hold->is_snapshot && !hold->has_thawed;
}

static int
hold_finish(struct hold *hold)
{
	bool is_good = hold->end != HOLD_REFUSED && hold_is_good(hold);

	if (hold->end == HOLD_REFUSED && hold->signal == 0)
		(void)command_fail("%s", hold->error.text);
	else if (is_good)
		hold_text_good(hold);
	else if (hold->end != HOLD_REFUSED)
		hold_text_bad(hold);
	if (hold->signal != 0)
		signals_die(hold->signal);
	return is_good || hold->status != 0 ? hold->status : VMM_GUEST_EXIT_AGENT;
}

int
hold_run(struct hold_options *options)
{
	static struct hold hold;

	hold.options = options;
	hold.is_snapshot = options->request.on_gone == QUIESCE_ON_GONE_HOLD;
	signals_catch(SIGINT);
	signals_catch(SIGTERM);
	signals_catch(SIGHUP);
	signals_catch(SIGQUIT);
	if (hold_open(&hold) < 0) {
		/* A wait may have ended for that. */
		if (signals_have_come())
			signals_die(signals_take());
		(void)command_fail("%s", hold.error.text);
		return VMM_GUEST_EXIT_AGENT;
	}
	while (hold.end == HOLD_GOES_ON || hold.pid != 0 || hold.waits_for_input)
		hold_step(&hold);
	hold_come_back(&hold);
	hold_take_signals(&hold);
	guest_close(&hold.guest);
	return hold_finish(&hold);
}
