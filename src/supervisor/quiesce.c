/*
 * SPDX-License-Identifier: MIT
 */
#include "supervisor/quiesce.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "platform/bell.h"
#include "platform/clock.h"
#include "platform/fd.h"
#include "platform/fdpass.h"
#include "platform/freeze.h"
#include "platform/hold_timer.h"
#include "platform/io_error.h"
#include "platform/log.h"
#include "platform/proc.h"
#include "platform/text.h"
#include "supervisor/own_fd.h"
#include "supervisor/supervisor_state.h"
#include "supervisor/switch.h"
#include "supervisor/switch_freezer.h"

/* Until the next try to fork a switch that thaws. */
#define SUPERVISOR_QUIESCE_AGAIN_MS 100

/* The log's own disk may be the frozen one. */
static bool supervisor_quiesce_is_raised;

static bool
supervisor_quiesce_is_quiet(void)
{
	return supervisor_quiesce_is_raised;
}

static int
supervisor_quiesce_sessions_fd(const struct supervisor *supervisor)
{
	return supervisor->settings->worker.session.session_cgroups_fd;
}

/* ---- the end ----------------------------------------------------------------- */

/* Says in the report, at the step that the switch was in, why there is no more. */
static void
supervisor_quiesce_report(struct supervisor *supervisor, int error, const char *words)
{
	struct quiesce_report *report = &supervisor->board->quiesce.report;
	uint32_t step = __atomic_load_n(&report->steps_count, __ATOMIC_RELAXED);
	char text[QUIESCE_ERROR_MAX];

	(void)text_format(text, sizeof(text), "%s: %s", io_error_name(error), words);
	quiesce_report_step(report,
	    step < QUIESCE_STEP_COUNT ? (enum quiesce_report_step_name)step : QUIESCE_STEP_FSFREEZE,
	    0, text);
}

/* The number falls, and all who stand still go on. */
static void
supervisor_quiesce_lower(struct supervisor *supervisor, uint64_t number, enum quiesce_thaw_why why)
{
	quiesce_end(&supervisor->board->quiesce, number, why);
	pool_signal(&supervisor->pool, SIGUSR1);
}

static void
supervisor_quiesce_drop(struct supervisor_quiesce *quiesce)
{
	switch_ledger_free(&quiesce->ledger);
	fd_close(&quiesce->keep_read_fd);
	fd_close(&quiesce->keep_write_fd);
	quiesce->is_on = false;
}

static void
supervisor_quiesce_end(struct supervisor *supervisor, enum quiesce_thaw_why why, uint64_t now_ms)
{
	struct supervisor_quiesce *quiesce = &supervisor->quiesce;
	bool is_held = atomic_load(&quiesce->ledger->is_held) != 0;

	watchdogs_renew(&supervisor->pool.watchdogs, now_ms);
	journals_start_clock(&supervisor->journals, now_ms);
	supervisor_quiesce_drop(quiesce);
	supervisor_quiesce_lower(supervisor, quiesce->number, is_held ? why : QUIESCE_THAW_OTHER);
	supervisor_quiesce_is_raised = false;
	log_info("quiesce %u: %s after %u ms%s", (unsigned)quiesce->number,
	    is_held ? "thawed" : "failed", (unsigned)(now_ms - quiesce->started_ms),
	    quiesce->is_successor ? "; its process was killed" : "");
}

static void
supervisor_quiesce_ask(struct supervisor *supervisor, enum quiesce_thaw_why why)
{
	if (quiesce_ask(&supervisor->board->quiesce, QUIESCE_ASK_THAW, why) == 0)
		bell_ring(supervisor->board->quiesce_bell_fd);
}

/* ---- the switch -------------------------------------------------------------- */

/* The process: it keeps nothing open that the guest could miss. */
static _Noreturn void
supervisor_quiesce_run(const struct supervisor *supervisor)
{
	const struct supervisor_quiesce *quiesce = &supervisor->quiesce;
	int sessions_fd = supervisor_quiesce_sessions_fd(supervisor);
	struct switch_freezer freezer;
	const struct switch_options options = { .quiesce = &supervisor->board->quiesce,
		.order = &quiesce->order,
		.ledger = quiesce->ledger,
		.freezer = &freezer.freezer,
		.keep_read_fd = quiesce->keep_read_fd,
		.keep_write_fd = quiesce->keep_write_fd,
		.wake_fd = supervisor->board->quiesce_bell_fd,
		.number = quiesce->number,
		.is_successor = quiesce->is_successor,
		.why = quiesce->why };
	const int kept[] = { options.wake_fd, options.keep_read_fd, options.keep_write_fd,
		sessions_fd, proc_dir_fd() };

	switch_freezer_init(&freezer, supervisor->board, options.number, sessions_fd);
	own_fd_close_others(STDERR_FILENO + 1, kept, sizeof(kept) / sizeof(kept[0]));
	switch_run(&options);
}

static int
supervisor_quiesce_fork(struct supervisor *supervisor)
{
	struct supervisor_quiesce *quiesce = &supervisor->quiesce;
	pid_t pid;
	int r;

	switch_ledger_lend(quiesce->ledger, true);
	pid = fork();
	if (pid == 0)
		supervisor_quiesce_run(supervisor);
	r = pid < 0 ? -errno : 0;
	switch_ledger_lend(quiesce->ledger, false);
	supervisor->pool.switch_pid = pid < 0 ? 0 : pid;
	return r;
}

/* ---- the beginning ----------------------------------------------------------- */

/* Whether it is one that a worker in its senses could have laid there. */
static bool
supervisor_quiesce_is_sane(const struct quiesce_order *order)
{
	const char *path = order->paths;
	uint32_t flags;

	_Static_assert(offsetof(struct quiesce_order, within_ms) == sizeof(flags), "flags first");
	memcpy(&flags, order, sizeof(flags));
	if ((flags & ~UINT32_C(0x01010101)) != 0 || order->within_ms == 0 ||
	    order->within_ms > VMM_GUEST_WITHIN_MS_MAX || order->hold_ms == 0 ||
	    order->hold_ms > VMM_GUEST_HOLD_MS_MAX || order->paths_count > VMM_GUEST_FSFREEZE_MAX)
		return false;
	for (uint32_t i = 0; i < order->paths_count && path != NULL; i++) {
		path = memchr(path, 0, (size_t)(order->paths + sizeof(order->paths) - path));
		path = path == NULL ? NULL : path + 1;
	}
	return path != NULL;
}

static int
supervisor_quiesce_open(struct supervisor_quiesce *quiesce)
{
	int CLEANUP_FD read_fd = -1;
	int CLEANUP_FD write_fd = -1;
	int r = fdpass_open(&read_fd, &write_fd);

	if (r < 0)
		return r;
	/* Where workers that are forked later close them. */
	quiesce->keep_read_fd = own_fd_copy(read_fd);
	quiesce->keep_write_fd = own_fd_copy(write_fd);
	if (quiesce->keep_read_fd < 0)
		return quiesce->keep_read_fd;
	return quiesce->keep_write_fd < 0 ? quiesce->keep_write_fd
					  : switch_ledger_new(&quiesce->ledger);
}

static int
supervisor_quiesce_begin(struct supervisor *supervisor, uint64_t now_ms)
{
	struct supervisor_quiesce *quiesce = &supervisor->quiesce;
	int r;

	*quiesce = (struct supervisor_quiesce){ .keep_read_fd = -1,
		.keep_write_fd = -1,
		.number = quiesce_number(&supervisor->board->quiesce),
		.why = QUIESCE_THAW_GONE,
		.started_ms = now_ms };
	/* The copy is what counts, whatever is written there meanwhile. */
	memcpy(&quiesce->order, &supervisor->board->quiesce.order, sizeof(quiesce->order));
	r = supervisor_quiesce_is_sane(&quiesce->order) ? 0 : -EINVAL;
	if (r == 0 && supervisor->pool.is_closing)
		r = -ESHUTDOWN;
	if (r == 0)
		r = supervisor_quiesce_open(quiesce);
	if (r == 0)
		r = supervisor_quiesce_fork(supervisor);
	if (r < 0) {
		supervisor_quiesce_drop(quiesce);
		return r;
	}
	quiesce->is_on = true;
	supervisor_quiesce_is_raised = true;
	log_set_quiet(supervisor_quiesce_is_quiet);
	quiesce->late_ms = now_ms + quiesce->order.within_ms + SUPERVISOR_QUIESCE_LATE_MS;
	run_clock_init(&quiesce->clock, now_ms);
	journals_stop_clock(&supervisor->journals, now_ms);
	return 0;
}

/* Nothing is going on. Begins what a worker has asked for; what is raised though nobody did,
 * as a worker that ran wild can have it, falls. */
static void
supervisor_quiesce_look(struct supervisor *supervisor, uint64_t now_ms)
{
	struct quiesce *words = &supervisor->board->quiesce;
	enum quiesce_phase phase = quiesce_phase(words);
	int r = -EINVAL;

	if (phase == QUIESCE_NONE ||
	    (phase == QUIESCE_CLAIMED && quiesce_holder(words) - 1 < supervisor->board->workers))
		return;
	if (phase == QUIESCE_ASKED)
		r = supervisor_quiesce_begin(supervisor, now_ms);
	if (r == 0)
		return;
	supervisor_quiesce_report(supervisor, r, "it can't be begun");
	supervisor_quiesce_lower(supervisor, quiesce_number(words), QUIESCE_THAW_OTHER);
}

/* ---- while it lasts ---------------------------------------------------------- */

/* The switch has had its time, and may hang in a call. Sessions do not wait for that; the next
 * one sees to what is frozen. */
static void
supervisor_quiesce_strike(struct supervisor *supervisor)
{
	struct supervisor_quiesce *quiesce = &supervisor->quiesce;

	quiesce->late_ms = CLOCK_NEVER;
	if (atomic_load(&quiesce->ledger->has_sessions) != 0)
		(void)freeze_cgroup(supervisor_quiesce_sessions_fd(supervisor), false);
	if (quiesce->is_successor)
		return;
	quiesce->is_successor = true;
	if (quiesce->why == QUIESCE_THAW_GONE)
		quiesce->why = QUIESCE_THAW_EXPIRED;
	if (atomic_load(&quiesce->ledger->is_held) == 0)
		supervisor_quiesce_report(supervisor, -ETIMEDOUT, "not done in within_ms");
	(void)kill(supervisor->pool.switch_pid, SIGKILL);
}

/* Until when the switch has time. How much of the hold is left it says itself, by
 * CLOCK_BOOTTIME, which may jump: what was left when it said so counts. */
static void
supervisor_quiesce_look_at_hold(struct supervisor_quiesce *quiesce, uint64_t ran_ms)
{
	uint64_t until_ms = atomic_load(&quiesce->ledger->hold_until_ms);
	bool is_held = atomic_load(&quiesce->ledger->is_held) != 0;
	uint64_t seen = until_ms << 1 | is_held;
	uint64_t boot_ms = hold_timer_now_ms();

	if (quiesce->is_successor || seen == quiesce->hold_seen)
		return;
	quiesce->hold_seen = seen;
	ran_ms += SUPERVISOR_QUIESCE_LATE_MS;
	ran_ms += until_ms > boot_ms ? until_ms - boot_ms : 0;
	quiesce->late_ms = is_held ? ran_ms : clock_sooner(quiesce->late_ms, ran_ms);
}

uint64_t
supervisor_quiesce_step(struct supervisor *supervisor, uint64_t now_ms)
{
	struct supervisor_quiesce *quiesce = &supervisor->quiesce;
	struct quiesce *words = &supervisor->board->quiesce;
	uint64_t ran_ms;

	if (!quiesce->is_on)
		supervisor_quiesce_look(supervisor, now_ms);
	if (!quiesce->is_on)
		return CLOCK_NEVER;
	if (supervisor->pool.switch_pid == 0 && now_ms >= quiesce->fork_at_ms &&
	    supervisor_quiesce_fork(supervisor) < 0)
		quiesce->fork_at_ms = now_ms + SUPERVISOR_QUIESCE_AGAIN_MS;
	/* The worker that asked has died. */
	if (!quiesce->order.holds_when_gone && quiesce_holder(words) == 0)
		supervisor_quiesce_ask(supervisor, QUIESCE_THAW_GONE);
	ran_ms = run_clock_look(&quiesce->clock, now_ms);
	supervisor_quiesce_look_at_hold(quiesce, ran_ms);
	if (ran_ms >= quiesce->late_ms)
		supervisor_quiesce_strike(supervisor);
	ran_ms = run_clock_plan(&quiesce->clock, quiesce->late_ms);
	return supervisor->pool.switch_pid == 0 ? clock_sooner(ran_ms, quiesce->fork_at_ms)
						: ran_ms;
}

void
supervisor_quiesce_bury(struct supervisor *supervisor, const siginfo_t *info)
{
	struct supervisor_quiesce *quiesce = &supervisor->quiesce;
	int status = info->si_code == CLD_EXITED ? info->si_status : 0;
	uint64_t now_ms = clock_mono_ms();

	if (info->si_pid != supervisor->pool.switch_pid)
		return;
	supervisor->pool.switch_pid = 0;
	if (status >= SWITCH_EXIT_THAWED && status <= SWITCH_EXIT_FAILED &&
	    switch_ledger_is_clear(quiesce->ledger)) {
		supervisor_quiesce_end(supervisor,
		    status == SWITCH_EXIT_FAILED
			? QUIESCE_THAW_OTHER
			: (enum quiesce_thaw_why)(status - SWITCH_EXIT_THAWED),
		    now_ms);
		return;
	}
	if (!quiesce->is_successor && atomic_load(&quiesce->ledger->is_held) == 0)
		supervisor_quiesce_report(supervisor, -EIO, "its process was killed");
	quiesce->fork_at_ms = quiesce->is_successor ? now_ms + SUPERVISOR_QUIESCE_AGAIN_MS : 0;
	quiesce->is_successor = true;
	quiesce->late_ms = run_clock_look(&quiesce->clock, now_ms) + SUPERVISOR_QUIESCE_LATE_MS;
}

void
supervisor_quiesce_shut(struct supervisor *supervisor)
{
	struct supervisor_quiesce *quiesce = &supervisor->quiesce;
	uint64_t ran_ms = run_clock_look(&quiesce->clock, clock_mono_ms());

	supervisor_quiesce_ask(supervisor, QUIESCE_THAW_SHUTDOWN);
	quiesce->why = QUIESCE_THAW_SHUTDOWN;
	quiesce->late_ms = clock_sooner(quiesce->late_ms, ran_ms + SUPERVISOR_QUIESCE_LATE_MS);
}
