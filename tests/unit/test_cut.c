/*
 * Whom the supervisor kills when a worker's time has passed. The worker is this process
 * here, and the program that it starts a child that waits.
 *
 * SPDX-License-Identifier: MIT
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "platform/fd.h"
#include "platform/proc.h"
#include "platform/watchdog.h"
#include "supervisor/cut.h"

#define SESSION 5
#define GRACE_MS 2000

static struct slot slot;
static int timer_fd;
static uint64_t last_session;
static pid_t child;

static int
begin(void **state)
{
	(void)state;
	timer_fd = watchdog_open();
	last_session = 0;
	child = fork();
	if (child == 0)
		for (;;)
			(void)pause();
	atomic_store(&slot.session, SESSION);
	atomic_store(&slot.spawning, SLOT_SPAWNING);
	atomic_store(&slot.child_pid, child);
	return proc_init() < 0 || timer_fd < 0 || child < 0 ? -1 : 0;
}

static int
end(void **state)
{
	(void)state;
	(void)kill(child, SIGKILL);
	(void)waitpid(child, NULL, 0);
	fd_close(&timer_fd);
	return 0;
}

static bool
cut(pid_t worker)
{
	return cut_start(&slot, worker, timer_fd, GRACE_MS, &last_session);
}

static bool
child_lives(void)
{
	siginfo_t info = { .si_pid = 0 };

	(void)usleep(50000);
	return waitid(P_PID, (id_t)child, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
	       info.si_pid == 0;
}

static void
test_the_child_is_killed_in_place_of_its_worker(void **state)
{
	siginfo_t info;

	(void)state;
	assert_true(cut(getpid()));
	assert_int_equal(atomic_load(&slot.spawning), SLOT_SPAWN_CUT);
	assert_int_equal(waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT), 0);
	assert_int_equal(info.si_status, SIGKILL);
}

static void
test_a_worker_that_does_not_wake_up_of_it_is_spared_no_second_time(void **state)
{
	(void)state;
	assert_true(cut(getpid()));
	assert_false(cut(getpid()));
}

static void
test_the_time_that_was_given_passes_without_harm_to_a_program_that_runs(void **state)
{
	(void)state;
	assert_true(cut(getpid()));
	atomic_store(&slot.spawning, SLOT_SPAWN_NONE);
	assert_true(cut(getpid()));
}

static void
test_another_session_of_the_worker_is_another_matter(void **state)
{
	(void)state;
	last_session = SESSION - 1;
	assert_true(cut(getpid()));
}

static void
test_a_number_that_is_no_child_of_the_workers_is_not_believed(void **state)
{
	(void)state;
	assert_false(cut(getppid()));
	assert_true(child_lives());
	assert_int_equal(atomic_load(&slot.spawning), SLOT_SPAWNING);
}

static void
test_a_child_that_runs_by_now_is_not_killed(void **state)
{
	(void)state;
	atomic_store(&slot.spawning, SLOT_SPAWN_NONE);
	assert_false(cut(getpid()));
	assert_true(child_lives());
}

static void
test_a_worker_without_a_session_or_a_child_is_not_spared(void **state)
{
	(void)state;
	atomic_store(&slot.child_pid, 0);
	assert_false(cut(getpid()));
	atomic_store(&slot.session, 0);
	atomic_store(&slot.spawning, SLOT_SPAWN_NONE);
	assert_false(cut(getpid()));
	assert_true(child_lives());
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    test_the_child_is_killed_in_place_of_its_worker, begin, end),
		cmocka_unit_test_setup_teardown(
		    test_a_worker_that_does_not_wake_up_of_it_is_spared_no_second_time, begin, end),
		cmocka_unit_test_setup_teardown(
		    test_the_time_that_was_given_passes_without_harm_to_a_program_that_runs, begin,
		    end),
		cmocka_unit_test_setup_teardown(
		    test_another_session_of_the_worker_is_another_matter, begin, end),
		cmocka_unit_test_setup_teardown(
		    test_a_number_that_is_no_child_of_the_workers_is_not_believed, begin, end),
		cmocka_unit_test_setup_teardown(
		    test_a_child_that_runs_by_now_is_not_killed, begin, end),
		cmocka_unit_test_setup_teardown(
		    test_a_worker_without_a_session_or_a_child_is_not_spared, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
