/*
 * What the supervisor does about a quiesce. The switch is this test's: it freezes nothing, and
 * does what the test has written down for it. The cgroup is a directory of files.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "open_fds.h"
#include "platform/bell.h"
#include "platform/clock.h"
#include "platform/fd.h"
#include "platform/hold_timer.h"
#include "platform/proc.h"
#include "scratch.h"
#include "supervisor/own_fd.h"
#include "supervisor/supervisor_state.h"
#include "supervisor/switch.h"

#define WORKERS 4
#define HOLDER 2
#define WITHIN_MS 5000
#define HOLD_MS 30000
#define SWITCHES_MAX 4

/* What a switch does before it waits to be told to end. */
enum act {
	ACT_DIE = 1,	/* at once */
	ACT_DIE_FROZEN, /* with sessions frozen, before all is */
	ACT_DIE_HELD,
	ACT_DIE_THAWING, /* when it is told to end */
	ACT_FAIL,
	ACT_HANG,      /* as in a call that does not return, before all is frozen */
	ACT_HANG_HELD, /* the same when the hold is over */
	ACT_LIE,       /* ends as if all was thawed, and it is not */
	ACT_HOLD,      /* what it is there for */
};

/* In memory that the switches share with the test. */
struct script {
	enum act acts[SWITCHES_MAX]; /* of the first, and of its successors; 0: it thaws */
	_Atomic uint32_t count;	     /* that were forked */
	_Atomic uint32_t successors;
	_Atomic uint32_t woken; /* workers */
	int kept_open;		/* descriptors of the last one */
};

static struct supervisor supervisor;
static struct supervisor_settings settings;
static struct scoreboard *board;
static struct script *script;
static struct quiesce_order order;
static bool fork_fails;

pid_t
fork(void)
{
	if (!fork_fails)
		return (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
	errno = EAGAIN;
	return -1;
}

/* ---- the switch --------------------------------------------------------------- */

/* Not by raise(3): of a musl that was forked past it would kill its parent. */
static _Noreturn void
die(void)
{
	(void)kill(getpid(), SIGKILL);
	_exit(1);
}

static _Noreturn void
hang(void)
{
	for (;;)
		(void)pause();
}

static enum quiesce_thaw_why
await_end(const struct switch_options *options)
{
	struct pollfd wait = { .fd = options->wake_fd, .events = POLLIN };
	enum quiesce_thaw_why why = QUIESCE_THAW_OTHER;

	for (;;) {
		bell_silence(options->wake_fd);
		if (quiesce_take_ask(options->quiesce, options->number, &why) == QUIESCE_ASK_THAW)
			return why;
		(void)poll(&wait, 1, -1);
	}
}

_Noreturn void
switch_run(const struct switch_options *options)
{
	enum act act = script->acts[atomic_fetch_add(&script->count, 1) % SWITCHES_MAX];
	struct switch_ledger *ledger = options->ledger;
	enum quiesce_thaw_why why;

	script->kept_open = open_fds_count(proc_dir_fd());
	if (options->is_successor) {
		(void)atomic_fetch_add(&script->successors, 1);
		if (act == ACT_DIE)
			die();
		if (act == ACT_HANG)
			hang();
		atomic_store(&ledger->has_sessions, 0);
		_exit(SWITCH_EXIT_THAWED + (int)options->why);
	}
	quiesce_set_phase(options->quiesce, options->number, QUIESCE_RESTING);
	if (act == ACT_DIE)
		die();
	if (act == ACT_FAIL) {
		quiesce_report_step(&options->quiesce->report, QUIESCE_STEP_REST, 1, "EIO: x");
		_exit(SWITCH_EXIT_FAILED);
	}
	atomic_store(&ledger->hold_until_ms, hold_timer_now_ms() + options->order->hold_ms);
	atomic_store(&ledger->has_sessions, 1);
	if (act == ACT_DIE_FROZEN)
		die();
	if (act == ACT_LIE)
		_exit(SWITCH_EXIT_THAWED + QUIESCE_THAW_HOST);
	if (act == ACT_HANG)
		hang();
	atomic_store(&ledger->is_held, 1);
	quiesce_set_phase(options->quiesce, options->number, QUIESCE_HELD);
	if (act == ACT_DIE_HELD)
		die();
	if (act == ACT_HANG_HELD)
		hang();
	why = await_end(options);
	if (act == ACT_DIE_THAWING)
		die();
	atomic_store(&ledger->has_sessions, 0);
	_exit(SWITCH_EXIT_THAWED + (int)why);
}

/* ---- the supervisor -------------------------------------------------------------- */

static int
begin(void **state)
{
	script =
	    mmap(NULL, sizeof(*script), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (script == MAP_FAILED || scratch_make(state) < 0 || proc_init() < 0 ||
	    scoreboard_new(WORKERS, 1, &board) < 0)
		return -1;
	scratch_write("cgroup.freeze", "1", 0600);
	settings.worker.session.session_cgroups_fd =
	    open(scratch_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	supervisor = (struct supervisor){ .settings = &settings, .board = board };
	script->acts[0] = ACT_HOLD;
	order = (struct quiesce_order){
		.freezes_sessions = true, .within_ms = WITHIN_MS, .hold_ms = HOLD_MS
	};
	fork_fails = false;
	return pool_init(&supervisor.pool, &settings.worker, board, NULL, 0);
}

static int
end(void **state)
{
	fd_close(&settings.worker.session.session_cgroups_fd);
	free(supervisor.pool.workers);
	free(supervisor.pool.watchdogs.entries);
	free(supervisor.pool.watchdogs.lost);
	fd_close(&supervisor.pool.watchdogs.wait_fd);
	(void)munmap(script, sizeof(*script));
	return scratch_remove(state);
}

static uint64_t
step(void)
{
	return supervisor_quiesce_step(&supervisor, clock_mono_ms());
}

/* A worker's order, and that the supervisor takes it. */
static uint64_t
ask(void)
{
	uint64_t number = 0;

	assert_int_equal(quiesce_claim(&board->quiesce, HOLDER, &order, &number), 0);
	(void)step();
	return number;
}

static void
await_phase(enum quiesce_phase phase)
{
	while (quiesce_phase(&board->quiesce) != phase)
		(void)usleep(1000);
}

static void
thaw(enum quiesce_thaw_why why)
{
	assert_int_equal(quiesce_ask(&board->quiesce, QUIESCE_ASK_THAW, why), 0);
	bell_ring(board->quiesce_bell_fd);
}

/* Buries one switch. */
static void
bury(void)
{
	siginfo_t info = { 0 };
	pid_t pid = supervisor.pool.switch_pid;

	assert_true(pid > 0);
	assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED), 0);
	supervisor_quiesce_bury(&supervisor, &info);
}

/* Until it is over. */
static void
run(void)
{
	while (supervisor.quiesce.is_on) {
		if (supervisor.pool.switch_pid != 0)
			bury();
		else
			(void)step();
	}
}

static void
assert_over(enum quiesce_thaw_why why)
{
	assert_int_equal(quiesce_phase(&board->quiesce), QUIESCE_NONE);
	assert_int_equal(atomic_load(&board->quiesce.why), why);
	assert_int_equal(supervisor.pool.switch_pid, 0);
	assert_null(supervisor.quiesce.ledger);
	assert_int_equal(step(), CLOCK_NEVER);
}

static void
assert_error(enum quiesce_report_step_name name, const char *error)
{
	assert_string_equal(board->quiesce.report.steps[name].error, error);
}

static bool
are_sessions_thawed(void)
{
	char text[8];

	assert_true(fd_read_file(settings.worker.session.session_cgroups_fd, "cgroup.freeze", text,
			sizeof(text)) > 0);
	return text[0] == '0';
}

/* Turns with a clock that is as far on as it asks for, until the switch counts as late. Returns
 * how far that is. */
static uint64_t
run_until_late(void)
{
	uint64_t start = clock_mono_ms();
	uint64_t now = start;

	while (supervisor.quiesce.late_ms != CLOCK_NEVER) {
		uint64_t next = supervisor_quiesce_step(&supervisor, now);

		if (supervisor.quiesce.late_ms == CLOCK_NEVER)
			break;
		assert_true(next != CLOCK_NEVER && next > now);
		now = next;
	}
	return now - start;
}

/* ---- the rule ---------------------------------------------------------------------- */

static void
test_an_order_is_carried_out_and_its_number_falls(void **state)
{
	int fds = open_fds_count(proc_dir_fd());

	(void)state;
	for (int round = 0; round < 50; round++) {
		uint64_t number = ask();

		await_phase(QUIESCE_HELD);
		assert_int_equal(quiesce_number(&board->quiesce), number);
		assert_true(pool_owns(&supervisor.pool, supervisor.pool.switch_pid));
		thaw(QUIESCE_THAW_THAW);
		script->acts[(round + 1) % SWITCHES_MAX] = ACT_HOLD;
		run();
		assert_over(QUIESCE_THAW_THAW);
		assert_int_equal(open_fds_count(proc_dir_fd()), fds);
	}
	assert_int_equal(atomic_load(&script->successors), 0);
}

static void
test_the_switch_has_nothing_open_but_what_it_needs(void **state)
{
	int fds[8];

	(void)state;
	for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++)
		fds[i] = i % 2 == 0 ? dup(proc_dir_fd()) : own_fd_copy(proc_dir_fd());
	(void)ask();
	await_phase(QUIESCE_HELD);
	/* Three standard ones, its bell, the queue's ends, the cgroup, /proc. */
	assert_int_equal(script->kept_open, 8);
	thaw(QUIESCE_THAW_HOST);
	run();
	for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++)
		fd_close(&fds[i]);
}

static void
test_what_is_forked_for_anything_else_can_not_reach_ledger_and_queue(void **state)
{
	unsigned char resident;
	int status = -1;
	pid_t pid;

	(void)state;
	(void)ask();
	/* A worker closes what lies there. */
	assert_true(supervisor.quiesce.keep_read_fd >= OWN_FD_MIN);
	assert_true(supervisor.quiesce.keep_write_fd >= OWN_FD_MIN);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		_exit(mincore(supervisor.quiesce.ledger, 1, &resident) < 0 && errno == ENOMEM ? 0
											      : 1);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	await_phase(QUIESCE_HELD);
	thaw(QUIESCE_THAW_HOST);
	run();
}

static void
test_all_workers_are_woken_at_the_end(void **state)
{
	sigset_t set;
	int signal = 0;
	int status;

	(void)state;
	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGUSR1);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
	for (int i = 0; i < WORKERS; i++) {
		pid_t pid = fork();

		assert_true(pid >= 0);
		if (pid == 0)
			_exit(sigwait(&set, &signal) == 0 && signal == SIGUSR1 ? 0 : 1);
		supervisor.pool.workers[i].pid = pid;
	}
	(void)sigprocmask(SIG_UNBLOCK, &set, NULL);
	script->acts[0] = ACT_FAIL;
	(void)ask();
	run();
	for (int i = 0; i < WORKERS; i++) {
		assert_int_equal(waitpid(supervisor.pool.workers[i].pid, &status, 0),
		    supervisor.pool.workers[i].pid);
		assert_int_equal(status, 0);
	}
}

static void
test_what_the_switch_could_not_do_failed(void **state)
{
	(void)state;
	script->acts[0] = ACT_FAIL;
	(void)ask();
	run();
	assert_over(QUIESCE_THAW_OTHER);
	assert_error(QUIESCE_STEP_REST, "EIO: x");
}

/* ---- deaths ------------------------------------------------------------------------ */

static void
test_a_switch_that_dies_is_followed_by_one_that_thaws(void **state)
{
	static const struct {
		enum act act;
		enum quiesce_thaw_why why;
	} deaths[] = {
		{ ACT_DIE, QUIESCE_THAW_OTHER },
		{ ACT_DIE_FROZEN, QUIESCE_THAW_OTHER },
		{ ACT_DIE_HELD, QUIESCE_THAW_GONE },
		{ ACT_DIE_THAWING, QUIESCE_THAW_GONE },
		{ ACT_LIE, QUIESCE_THAW_OTHER },
	};
	int fds = open_fds_count(proc_dir_fd());

	(void)state;
	for (size_t i = 0; i < sizeof(deaths) / sizeof(deaths[0]); i++) {
		memset(script, 0, sizeof(*script));
		script->acts[0] = deaths[i].act;
		(void)ask();
		if (deaths[i].act == ACT_DIE_THAWING) {
			await_phase(QUIESCE_HELD);
			thaw(QUIESCE_THAW_HOST);
		}
		bury();
		/* Nobody goes on before all is thawed. */
		assert_true(quiesce_is_raised(&board->quiesce));
		run();
		assert_int_equal(atomic_load(&script->successors), 1);
		if (deaths[i].why == QUIESCE_THAW_OTHER)
			assert_error(QUIESCE_STEP_REST, "EIO: its process was killed");
		assert_over(deaths[i].why);
		assert_int_equal(open_fds_count(proc_dir_fd()), fds);
	}
}

static void
test_successors_that_die_are_followed_though_not_at_once(void **state)
{
	uint64_t now;

	(void)state;
	script->acts[0] = ACT_DIE_HELD;
	script->acts[1] = ACT_DIE;
	script->acts[2] = ACT_DIE;
	(void)ask();
	bury();
	(void)step();
	assert_true(supervisor.pool.switch_pid > 0);
	now = clock_mono_ms();
	bury();
	assert_true(supervisor.quiesce.fork_at_ms >= now + 100);
	assert_true(supervisor_quiesce_step(&supervisor, now) <= supervisor.quiesce.fork_at_ms);
	assert_int_equal(supervisor.pool.switch_pid, 0);
	run();
	assert_int_equal(atomic_load(&script->successors), 3);
	assert_over(QUIESCE_THAW_GONE);
}

static void
test_a_fork_that_fails_is_a_refusal_and_leaves_nothing(void **state)
{
	int fds = open_fds_count(proc_dir_fd());

	(void)state;
	fork_fails = true;
	(void)ask();
	assert_over(QUIESCE_THAW_OTHER);
	assert_error(QUIESCE_STEP_REST, "EAGAIN: it can't be begun");
	assert_int_equal(open_fds_count(proc_dir_fd()), fds);
	fork_fails = false;
	(void)ask();
	await_phase(QUIESCE_HELD);
	thaw(QUIESCE_THAW_HOST);
	run();
	assert_over(QUIESCE_THAW_HOST);
}

static void
test_sessions_do_not_wait_for_a_successor_that_can_not_be_forked(void **state)
{
	uint64_t now;

	(void)state;
	script->acts[0] = ACT_DIE_HELD;
	(void)ask();
	bury();
	fork_fails = true;
	now = clock_mono_ms();
	assert_int_equal(supervisor_quiesce_step(&supervisor, now), now + 100);
	assert_false(are_sessions_thawed());
	(void)run_until_late();
	assert_true(are_sessions_thawed());
	assert_true(supervisor.quiesce.is_on);
	fork_fails = false;
	run();
	assert_over(QUIESCE_THAW_GONE);
}

static void
test_the_death_of_the_worker_that_asked_ends_it(void **state)
{
	(void)state;
	(void)ask();
	await_phase(QUIESCE_HELD);
	quiesce_bury(&board->quiesce, HOLDER + 1);
	(void)step();
	assert_int_equal(atomic_load(&board->quiesce.ask), 0);
	quiesce_bury(&board->quiesce, HOLDER);
	(void)step();
	run();
	assert_over(QUIESCE_THAW_GONE);
}

static void
test_a_hold_outlives_the_worker_that_asked(void **state)
{
	(void)state;
	order.holds_when_gone = true;
	(void)ask();
	await_phase(QUIESCE_HELD);
	quiesce_bury(&board->quiesce, HOLDER);
	(void)step();
	assert_int_equal(atomic_load(&board->quiesce.ask), 0);
	thaw(QUIESCE_THAW_RESTORED);
	run();
	assert_over(QUIESCE_THAW_RESTORED);
}

static void
test_an_order_of_a_worker_that_has_died_is_called_off(void **state)
{
	uint64_t number;

	(void)state;
	assert_int_equal(quiesce_claim(&board->quiesce, HOLDER, &order, &number), 0);
	quiesce_bury(&board->quiesce, HOLDER);
	(void)step();
	run();
	assert_over(QUIESCE_THAW_GONE);
}

/* ---- time ---------------------------------------------------------------------------- */

static void
test_a_switch_that_takes_longer_than_within_ms_is_killed_and_sessions_go_on(void **state)
{
	uint64_t late;

	(void)state;
	script->acts[0] = ACT_HANG;
	(void)ask();
	while (atomic_load(&supervisor.quiesce.ledger->has_sessions) == 0)
		(void)usleep(1000);
	late = run_until_late();
	assert_true(late <= WITHIN_MS + SUPERVISOR_QUIESCE_LATE_MS);
	assert_true(are_sessions_thawed());
	run();
	assert_int_equal(atomic_load(&script->successors), 1);
	assert_error(QUIESCE_STEP_REST, "ETIMEDOUT: not done in within_ms");
	assert_over(QUIESCE_THAW_OTHER);
}

static void
test_what_is_frozen_first_does_not_wait_for_the_rest_longer_than_hold_ms(void **state)
{
	(void)state;
	script->acts[0] = ACT_HANG;
	order.hold_ms = 1;
	(void)ask();
	while (atomic_load(&supervisor.quiesce.ledger->has_sessions) == 0)
		(void)usleep(1000);
	assert_true(run_until_late() <= 1 + SUPERVISOR_QUIESCE_LATE_MS);
	assert_true(are_sessions_thawed());
	run();
	assert_over(QUIESCE_THAW_OTHER);
}

static void
test_a_switch_that_does_not_thaw_in_time_is_killed_and_sessions_go_on(void **state)
{
	uint64_t late;

	(void)state;
	script->acts[0] = ACT_HANG_HELD;
	(void)ask();
	await_phase(QUIESCE_HELD);
	late = run_until_late();
	assert_true(late > WITHIN_MS + SUPERVISOR_QUIESCE_LATE_MS);
	assert_true(late <= HOLD_MS + SUPERVISOR_QUIESCE_LATE_MS);
	assert_true(are_sessions_thawed());
	run();
	assert_over(QUIESCE_THAW_EXPIRED);
}

static void
test_a_hold_that_was_asked_for_again_has_its_whole_time(void **state)
{
	uint64_t late;

	(void)state;
	script->acts[0] = ACT_HANG_HELD;
	(void)ask();
	await_phase(QUIESCE_HELD);
	(void)step();
	atomic_fetch_add(&supervisor.quiesce.ledger->hold_until_ms, HOLD_MS);
	late = run_until_late();
	assert_true(late > HOLD_MS + SUPERVISOR_QUIESCE_LATE_MS);
	run();
}

/* The switch is about to give it 2 s more. */
static void
test_a_jump_of_the_clock_does_not_make_the_switch_late(void **state)
{
	uint64_t now = clock_mono_ms();

	(void)state;
	(void)ask();
	await_phase(QUIESCE_HELD);
	now = supervisor_quiesce_step(&supervisor, now) + 24 * 3600 * UINT64_C(1000);
	(void)supervisor_quiesce_step(&supervisor, now);
	assert_false(are_sessions_thawed());
	assert_true(supervisor.quiesce.late_ms != CLOCK_NEVER);
	thaw(QUIESCE_THAW_RESTORED);
	run();
	assert_over(QUIESCE_THAW_RESTORED);
}

/* ---- the end of the agent ---------------------------------------------------------------- */

static void
test_the_end_of_the_agent_thaws_first(void **state)
{
	(void)state;
	(void)ask();
	await_phase(QUIESCE_HELD);
	supervisor_quiesce_shut(&supervisor);
	run();
	assert_over(QUIESCE_THAW_SHUTDOWN);
}

static void
test_the_end_of_the_agent_waits_for_a_second_alone(void **state)
{
	(void)state;
	script->acts[0] = ACT_HANG_HELD;
	(void)ask();
	await_phase(QUIESCE_HELD);
	(void)step();
	supervisor_quiesce_shut(&supervisor);
	assert_true(run_until_late() <= SUPERVISOR_QUIESCE_LATE_MS);
	assert_true(are_sessions_thawed());
	run();
	assert_over(QUIESCE_THAW_SHUTDOWN);
}

static void
test_nothing_is_frozen_any_more_when_the_agent_ends(void **state)
{
	(void)state;
	pool_close(&supervisor.pool);
	(void)ask();
	assert_over(QUIESCE_THAW_OTHER);
	assert_error(QUIESCE_STEP_REST, "ESHUTDOWN: it can't be begun");
	assert_int_equal(atomic_load(&script->count), 0);
}

/* ---- nonsense ---------------------------------------------------------------------------- */

static void
test_an_order_that_makes_no_sense_is_refused(void **state)
{
	const unsigned char wild = 0x42;

	(void)state;
	for (int i = 0; i < 8; i++) {
		struct quiesce_order *there = &board->quiesce.order;
		uint64_t number;

		assert_int_equal(quiesce_claim(&board->quiesce, HOLDER, &order, &number), 0);
		if (i < 4)
			memcpy((char *)there + i, &wild, 1);
		there->within_ms = i == 4 ? VMM_GUEST_WITHIN_MS_MAX + 1 : there->within_ms;
		there->hold_ms = i == 5 ? 0 : there->hold_ms;
		there->paths_count = i == 6 ? VMM_GUEST_FSFREEZE_MAX + 1 : 1;
		if (i == 7)
			memset(there->paths, 'x', sizeof(there->paths));
		(void)step();
		assert_over(QUIESCE_THAW_OTHER);
		assert_error(QUIESCE_STEP_REST, "EINVAL: it can't be begun");
	}
	assert_int_equal(atomic_load(&script->count), 0);
}

static void
test_a_number_that_nobody_raised_falls(void **state)
{
	(void)state;
	for (uint64_t phase = QUIESCE_CLAIMED; phase < 0x100; phase++) {
		if (phase == QUIESCE_ASKED)
			continue;
		atomic_store(&board->quiesce.word, UINT64_C(0xfffff) << 24 | 0xffff << 8 | phase);
		assert_int_equal(step(), CLOCK_NEVER);
		assert_int_equal(quiesce_phase(&board->quiesce), QUIESCE_NONE);
	}
	assert_int_equal(atomic_load(&script->count), 0);
}

static void
test_a_claim_is_its_workers_until_that_dies(void **state)
{
	(void)state;
	atomic_store(&board->quiesce.word, 7 << 24 | (HOLDER + 1) << 8 | QUIESCE_CLAIMED);
	assert_int_equal(step(), CLOCK_NEVER);
	assert_int_equal(quiesce_phase(&board->quiesce), QUIESCE_CLAIMED);
	quiesce_bury(&board->quiesce, HOLDER);
	assert_int_equal(quiesce_phase(&board->quiesce), QUIESCE_NONE);
}

static void
test_a_worker_that_lowers_the_number_leaves_the_switch_to_its_work(void **state)
{
	(void)state;
	order.holds_when_gone = true;
	(void)ask();
	await_phase(QUIESCE_HELD);
	atomic_store(&board->quiesce.word, UINT64_C(9) << 24);
	(void)step();
	assert_true(supervisor.quiesce.is_on);
	assert_true(supervisor.pool.switch_pid > 0);
	(void)kill(supervisor.pool.switch_pid, SIGKILL);
	run();
	assert_over(QUIESCE_THAW_GONE);
}

#define QUIESCE_TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		QUIESCE_TEST(test_an_order_is_carried_out_and_its_number_falls),
		QUIESCE_TEST(test_the_switch_has_nothing_open_but_what_it_needs),
		QUIESCE_TEST(test_what_is_forked_for_anything_else_can_not_reach_ledger_and_queue),
		QUIESCE_TEST(test_all_workers_are_woken_at_the_end),
		QUIESCE_TEST(test_what_the_switch_could_not_do_failed),
		QUIESCE_TEST(test_a_switch_that_dies_is_followed_by_one_that_thaws),
		QUIESCE_TEST(test_successors_that_die_are_followed_though_not_at_once),
		QUIESCE_TEST(test_a_fork_that_fails_is_a_refusal_and_leaves_nothing),
		QUIESCE_TEST(test_sessions_do_not_wait_for_a_successor_that_can_not_be_forked),
		QUIESCE_TEST(test_the_death_of_the_worker_that_asked_ends_it),
		QUIESCE_TEST(test_a_hold_outlives_the_worker_that_asked),
		QUIESCE_TEST(test_an_order_of_a_worker_that_has_died_is_called_off),
		QUIESCE_TEST(
		    test_a_switch_that_takes_longer_than_within_ms_is_killed_and_sessions_go_on),
		QUIESCE_TEST(
		    test_what_is_frozen_first_does_not_wait_for_the_rest_longer_than_hold_ms),
		QUIESCE_TEST(test_a_switch_that_does_not_thaw_in_time_is_killed_and_sessions_go_on),
		QUIESCE_TEST(test_a_hold_that_was_asked_for_again_has_its_whole_time),
		QUIESCE_TEST(test_a_jump_of_the_clock_does_not_make_the_switch_late),
		QUIESCE_TEST(test_the_end_of_the_agent_thaws_first),
		QUIESCE_TEST(test_the_end_of_the_agent_waits_for_a_second_alone),
		QUIESCE_TEST(test_nothing_is_frozen_any_more_when_the_agent_ends),
		QUIESCE_TEST(test_an_order_that_makes_no_sense_is_refused),
		QUIESCE_TEST(test_a_number_that_nobody_raised_falls),
		QUIESCE_TEST(test_a_claim_is_its_workers_until_that_dies),
		QUIESCE_TEST(test_a_worker_that_lowers_the_number_leaves_the_switch_to_its_work),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
