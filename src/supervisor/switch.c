/*
 * SPDX-License-Identifier: MIT
 */
#include "supervisor/switch.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "platform/backoff.h"
#include "platform/bell.h"
#include "platform/clock.h"
#include "platform/fd.h"
#include "platform/fdpass.h"
#include "platform/hold_timer.h"
#include "supervisor/switch_state.h"

/* Between two rounds of thawing, doubled up to the second; and after how many rounds sessions
 * are thawed though a file system is not: they are better off with one disk less. */
#define SWITCH_AGAIN_FIRST_MS 100
#define SWITCH_AGAIN_MAX_MS 1000
#define SWITCH_ROUNDS_ALONE 4

/* The stack that is touched before anything is frozen. */
#define SWITCH_STACK_SIZE (64 * 1024)

/* Too large for the stack, and to be there before memory is short. */
static struct switch_state switch_state;

/* ---- thawing --------------------------------------------------------------- */

/* One round over all that may be frozen, the last frozen first: what another lies on has to
 * go before that one. Returns whether nothing is left. */
static bool
switch_thaw_round(struct switch_state *state, const int *fds)
{
	uint32_t count = atomic_load(&state->ledger->count);
	bool is_done = true;

	for (uint32_t i = count < FD_KEEP_MAX ? count : FD_KEEP_MAX; i-- > 0;) {
		if (!switch_ledger_may_be_frozen(state->ledger, i))
			continue;
		if (state->freezer->thaw_files(state->freezer->context, fds[i]) == 0)
			atomic_store(&state->ledger->states[i], SWITCH_LEDGER_THAWED);
		else
			is_done = false;
	}
	return is_done;
}

static int
switch_thaw_sessions(struct switch_state *state)
{
	int r = 0;

	if (atomic_load(&state->ledger->has_sessions) != 0)
		r = state->freezer->freeze_sessions(state->freezer->context, false);
	if (r == 0 || r == -ENOTSUP)
		atomic_store(&state->ledger->has_sessions, 0);
	return r;
}

/* The descriptors, by their places in the ledger. A successor has them from the queue, where
 * they lie if they count; memory may be short, and then some of them come at most. */
static void
switch_find_files(struct switch_state *state, int fds[FD_KEEP_MAX])
{
	int count = (int)atomic_load(&state->ledger->count);
	int found;

	for (uint32_t i = 0; i < FD_KEEP_MAX; i++)
		fds[i] = i < state->files.count ? state->files.list[i].fd : -1;
	while (state->options->is_successor && count > 0 &&
	       (found = fd_keep_look(state->options->keep_read_fd, fds)) < count) {
		while (found > 0)
			fd_close(&fds[--found]);
		state->freezer->pause(state->freezer->context, SWITCH_AGAIN_FIRST_MS);
	}
}

/* As long as it takes. */
static void
switch_thaw_files(struct switch_state *state)
{
	struct backoff backoff = { 0 };
	int fds[FD_KEEP_MAX];
	int rounds = 0;

	switch_find_files(state, fds);
	while (!switch_thaw_round(state, fds)) {
		if (++rounds == SWITCH_ROUNDS_ALONE)
			(void)switch_thaw_sessions(state);
		state->freezer->pause(state->freezer->context,
		    backoff_next_ms(&backoff, SWITCH_AGAIN_FIRST_MS, SWITCH_AGAIN_MAX_MS));
	}
}

static void
switch_thaw(struct switch_state *state)
{
	quiesce_set_phase(state->options->quiesce, state->options->number, QUIESCE_THAWING);
	switch_thaw_files(state);
	while (switch_thaw_sessions(state) < 0 && atomic_load(&state->ledger->has_sessions) != 0)
		state->freezer->pause(state->freezer->context, SWITCH_AGAIN_FIRST_MS);
	/* Ours are the last then: the supervisor does not close a file system. */
	(void)fdpass_drop(state->options->keep_read_fd);
}

/* ---- holding --------------------------------------------------------------- */

/* Does what is asked for. Returns whether that is the end. */
static bool
switch_obey(struct switch_state *state)
{
	enum quiesce_thaw_why why = QUIESCE_THAW_OTHER;

	bell_silence(state->options->wake_fd);
	switch (quiesce_take_ask(state->options->quiesce, state->options->number, &why)) {
	case QUIESCE_ASK_THAW:
		state->why = why;
		return true;
	case QUIESCE_ASK_THAW_FILES:
		switch_thaw_files(state);
		/* It is RESTORED's, which the little time after a jump was for, and has more to do
		 * before sessions thaw. */
		if (state->timer.has_jumped)
			switch_set_hold(state);
		break;
	case QUIESCE_ASK_HOLD:
		switch_set_hold(state);
		break;
	case QUIESCE_ASK_NONE:
		return false;
	}
	(void)atomic_fetch_add(&state->options->quiesce->answer, 1);
	state->freezer->wake_holder(state->freezer->context);
	return false;
}

/* Nothing but a message or its time ends it. */
static void
switch_hold(struct switch_state *state)
{
	struct pollfd polls[] = { { .fd = state->options->wake_fd, .events = POLLIN },
		{ .fd = state->timer_fd, .events = POLLIN } };
	bool has_waited = false;

	switch_begin_hold(state);
	atomic_store(&state->ledger->is_held, 1);
	quiesce_set_phase(state->options->quiesce, state->options->number, QUIESCE_HELD);
	state->freezer->wake_holder(state->freezer->context);
	while (!switch_obey(state)) {
		if (hold_timer_is_over(&state->timer, hold_timer_now_ms(), has_waited)) {
			state->why = QUIESCE_THAW_EXPIRED;
			return;
		}
		hold_timer_set(state->timer_fd, state->timer.due_ms);
		switch_note_hold(state);
		(void)poll(polls, 2, -1);
		has_waited = true;
	}
}

/* ---- all of it ------------------------------------------------------------- */

int
switch_go(const struct switch_options *options)
{
	struct switch_state *state = &switch_state;

	*state = (struct switch_state){ .options = options,
		.freezer = options->freezer,
		.ledger = options->ledger,
		.report = &options->quiesce->report,
		.why = options->why,
		.timer_fd = -1 };
	if (!options->is_successor) {
		state->deadline_ms = clock_mono_ms() + options->order->within_ms;
		state->timer_fd = hold_timer_open();
		if (state->timer_fd < 0)
			return SWITCH_EXIT_FAILED;
		if (switch_freeze(state) < 0) {
			/* Sessions do not wait for a disk. */
			(void)switch_thaw_sessions(state);
			switch_thaw(state);
			return SWITCH_EXIT_FAILED;
		}
		switch_hold(state);
	}
	switch_thaw(state);
	return SWITCH_EXIT_THAWED + (int)state->why;
}

/* ---- the process ----------------------------------------------------------- */

/* What is not touched before anything is frozen may need a disk then. */
static void
switch_touch_stack(void)
{
	volatile char stack[SWITCH_STACK_SIZE];

	for (size_t i = 0; i < sizeof(stack); i += 1024)
		stack[i] = 0;
}

/* The pages that it has, and gets, stay: of the C library what thaws has been called to freeze
 * by then. Its own program is in memory whole. What is a worker's of that, megabytes which
 * nothing here touches, is not. */
static void
switch_lock_memory(void)
{
	extern const char __executable_start[];
	extern const char edata[];

	switch_touch_stack();
	(void)mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT);
	(void)mlock(__executable_start, (size_t)((uintptr_t)edata - (uintptr_t)__executable_start));
}

_Noreturn void
switch_run(const struct switch_options *options)
{
	sigset_t all;

	setproctitle("switch");
	(void)sigfillset(&all);
	(void)sigprocmask(SIG_SETMASK, &all, NULL);
	switch_lock_memory();
	_exit(switch_go(options));
}
