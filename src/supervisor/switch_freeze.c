/*
 * The order of writes is what its safety rests on: a descriptor is in the queue before it
 * counts, and a freeze stands in the ledger before it is made.
 *
 * SPDX-License-Identifier: MIT
 */
#include "supervisor/switch_state.h"

#include <errno.h>
#include <string.h>

#include "platform/bell.h"
#include "platform/clock.h"
#include "platform/io_error.h"
#include "platform/text.h"

typedef int switch_step_fn(struct switch_state *state, char words[QUIESCE_ERROR_MAX]);

/* For the next switch and the supervisor; and for STATUS, in memory that workers can write. */
void
switch_note_hold(struct switch_state *state)
{
	atomic_store(&state->ledger->hold_until_ms, state->timer.due_ms);
	atomic_store(&state->options->quiesce->hold_until_ms, state->timer.due_ms);
}

void
switch_set_hold(struct switch_state *state)
{
	const struct quiesce_order *order = state->options->order;

	hold_timer_begin(
	    &state->timer, hold_timer_now_ms(), order->hold_ms, order->holds_when_gone);
	switch_note_hold(state);
}

void
switch_begin_hold(struct switch_state *state)
{
	if (atomic_load(&state->ledger->hold_until_ms) != 0)
		return;
	switch_set_hold(state);
	/* What is frozen first does not wait longer than that for the rest. */
	state->deadline_ms =
	    clock_sooner(state->deadline_ms, clock_mono_ms() + state->options->order->hold_ms);
}

/* ---- the steps -------------------------------------------------------------- */

static int
switch_rest(struct switch_state *state, char words[QUIESCE_ERROR_MAX])
{
	quiesce_set_phase(state->options->quiesce, state->options->number, QUIESCE_RESTING);
	return state->freezer->await_rest(
	    state->freezer->context, state->options->wake_fd, state->deadline_ms, words);
}

static int
switch_freeze_sessions(struct switch_state *state, char words[QUIESCE_ERROR_MAX])
{
	const struct freezer *freezer = state->freezer;
	int r;

	quiesce_set_phase(state->options->quiesce, state->options->number, QUIESCE_FREEZING);
	if (!state->options->order->freezes_sessions)
		return 0;
	switch_begin_hold(state);
	atomic_store(&state->ledger->has_sessions, 1);
	r = freezer->freeze_sessions(freezer->context, true);
	if (r == 0)
		r = freezer->await_sessions(
		    freezer->context, state->options->wake_fd, state->deadline_ms);
	if (r == -ETIMEDOUT)
		(void)strlcpy(
		    words, "a process is in the kernel, and does not stop", QUIESCE_ERROR_MAX);
	if (r == -ENOTSUP) {
		atomic_store(&state->ledger->has_sessions, 0);
		(void)strlcpy(words, "there is no cgroup v2", QUIESCE_ERROR_MAX);
	}
	return r;
}

/* Keeps the descriptors where they outlive this process. */
static int
switch_keep_files(struct switch_state *state)
{
	int fds[FD_KEEP_MAX];
	int r;

	if (state->files.count == 0)
		return 0;
	for (uint32_t i = 0; i < state->files.count; i++)
		fds[i] = state->files.list[i].fd;
	r = fd_keep_put(state->options->keep_write_fd, fds, state->files.count);
	if (r == 0)
		atomic_store(&state->ledger->count, state->files.count);
	return r;
}

static int
switch_sync(struct switch_state *state, char words[QUIESCE_ERROR_MAX])
{
	const struct quiesce_order *order = state->options->order;
	const struct freezer *freezer = state->freezer;
	int error = 0;
	int r;

	if (!order->syncs && !order->is_all && order->paths_count == 0)
		return 0;
	r = freezer->open_files(freezer->context, order, state->report, &state->files, words);
	if (r == 0)
		r = switch_keep_files(state);
	if (r < 0)
		return r;
	for (uint32_t i = 0; order->syncs && i < state->files.count; i++) {
		const struct switch_file *file = &state->files.list[i];

		r = freezer->sync_files(freezer->context, file->fd);
		if (r < 0 && error == 0) {
			error = r;
			(void)strlcpy(words, file->path, QUIESCE_ERROR_MAX);
		}
	}
	return error;
}

/* What came of a freeze of FILE, which gave R. Returns 0 where it may go on. */
static int
switch_judge_file(struct switch_state *state, uint32_t index, int r, char words[QUIESCE_ERROR_MAX])
{
	const struct switch_file *file = &state->files.list[index];
	bool is_skipped = r == -EBUSY || r == -EOPNOTSUPP;
	const char *why = r == -EBUSY ? "frozen by another" : "can't be frozen";

	atomic_store(
	    &state->ledger->states[index], r == 0 ? SWITCH_LEDGER_FROZEN : SWITCH_LEDGER_OPEN);
	if (r < 0 && (!is_skipped || file->is_required)) {
		(void)text_format(words, QUIESCE_ERROR_MAX, "%s%s%s", file->path,
		    is_skipped ? ": " : "", is_skipped ? why : "");
		return r;
	}
	quiesce_report_place(state->report, file->path, file->type, r == 0 ? "" : why);
	return 0;
}

/* Whether nobody has called it off: whatever is asked for before the guest is held does that. */
static int
switch_is_wanted(struct switch_state *state, char words[QUIESCE_ERROR_MAX])
{
	enum quiesce_thaw_why why;

	if (quiesce_take_ask(state->options->quiesce, state->options->number, &why) ==
	    QUIESCE_ASK_NONE)
		return 0;
	(void)strlcpy(words, "it was called off", QUIESCE_ERROR_MAX);
	return -ECANCELED;
}

/* Whether there is still time, too. */
static int
switch_may_go_on(struct switch_state *state, char words[QUIESCE_ERROR_MAX])
{
	int r = switch_is_wanted(state, words);

	if (r < 0 || clock_mono_ms() < state->deadline_ms)
		return r;
	(void)strlcpy(words, "not done in within_ms", QUIESCE_ERROR_MAX);
	return -ETIMEDOUT;
}

static int
switch_freeze_files(struct switch_state *state, char words[QUIESCE_ERROR_MAX])
{
	const struct freezer *freezer = state->freezer;
	int r = 0;

	for (uint32_t i = 0; r == 0 && i < state->files.count; i++) {
		if (!state->files.list[i].is_wanted)
			continue;
		r = switch_may_go_on(state, words);
		if (r < 0)
			break;
		switch_begin_hold(state);
		atomic_store(&state->ledger->states[i], SWITCH_LEDGER_FREEZING);
		r = freezer->freeze_files(freezer->context, state->files.list[i].fd);
		r = switch_judge_file(state, i, r, words);
	}
	return r;
}

/* ---- all of it ------------------------------------------------------------- */

static const struct switch_step {
	enum quiesce_report_step_name name;
	bool waits;
	switch_step_fn *make;
} switch_steps[] = {
	{ QUIESCE_STEP_REST, true, switch_rest },
	{ QUIESCE_STEP_SESSIONS, true, switch_freeze_sessions },
	{ QUIESCE_STEP_SYNC, false, switch_sync },
	{ QUIESCE_STEP_FSFREEZE, false, switch_freeze_files },
};

/* Makes one step. A ring ends the waits of the first two, which may mean nothing, and they
 * can be made again: they look at the time themselves, and say what was waited for in vain. */
static int
switch_make_step(
    struct switch_state *state, const struct switch_step *step, char words[QUIESCE_ERROR_MAX])
{
	int r;

	do {
		bell_silence(state->options->wake_fd);
		r = step->waits ? switch_is_wanted(state, words) : switch_may_go_on(state, words);
		if (r == 0)
			r = step->make(state, words);
	} while (r == -EINTR && step->waits);
	/* A call that took long is not done in time either. */
	return r == 0 ? switch_may_go_on(state, words) : r;
}

/* Linux has one number for two names, and the contract the other one. */
static const char *
switch_error_name(int error)
{
	return error == -ENOTSUP ? "ENOTSUP" : io_error_name(error);
}

static int
switch_report_step(struct switch_state *state, const struct switch_step *step)
{
	char words[QUIESCE_ERROR_MAX] = "";
	char error[QUIESCE_ERROR_MAX] = "";
	uint64_t start_us = clock_mono_us();
	int r = switch_make_step(state, step, words);

	if (r < 0)
		(void)text_format(error, sizeof(error), "%s: %.120s", switch_error_name(r),
		    words[0] != '\0' ? words : strerror(-r));
	quiesce_report_step(state->report, step->name, clock_mono_us() - start_us, error);
	return r == -ENOTSUP && step->name == QUIESCE_STEP_SESSIONS ? 0 : r;
}

int
switch_freeze(struct switch_state *state)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < sizeof(switch_steps) / sizeof(switch_steps[0]); i++)
		r = switch_report_step(state, &switch_steps[i]);
	return r;
}
