/*
 * Unit tests of platform/watchdog.
 */
#include "platform/watchdog.h"

#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define TIMEOUT_MS 200

static void
pass(unsigned ms)
{
	const struct timespec time = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L };

	(void)nanosleep(&time, NULL);
}

/* Whether the time of a process that does WORK is ever up. */
static bool
is_late(void (*work)(void))
{
	struct pollfd wait[2] = { { .fd = watchdog_open(), .events = POLLIN },
		{ .events = POLLIN } };
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		watchdog_init(wait[0].fd);
		work();
		_exit(0);
	}
	wait[1].fd = pidfd_open(pid, 0);
	assert_true(wait[0].fd >= 0 && wait[1].fd >= 0);
	assert_true(poll(wait, 2, 30 * TIMEOUT_MS) > 0);
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_equal(close(wait[0].fd) + close(wait[1].fd), 0);
	return wait[0].revents != 0;
}

static void
do_nothing(void)
{
	watchdog_set(TIMEOUT_MS);
	pass(20 * TIMEOUT_MS);
}

static void
call_off(void)
{
	watchdog_set(TIMEOUT_MS);
	watchdog_set(0);
	watchdog_ping();
	watchdog_pause();
	watchdog_resume();
	pass(3 * TIMEOUT_MS);
}

static void
ping(void)
{
	watchdog_set(TIMEOUT_MS);
	for (int i = 0; i < 30; i++) {
		pass(TIMEOUT_MS / 10);
		watchdog_ping();
	}
}

static void
ping_and_stop(void)
{
	ping();
	pass(20 * TIMEOUT_MS);
}

static void
pause_and_go_on(void)
{
	watchdog_set(TIMEOUT_MS);
	watchdog_pause();
	pass(3 * TIMEOUT_MS);
	watchdog_resume();
	watchdog_set(0);
}

static void
pause_and_stop(void)
{
	watchdog_set(TIMEOUT_MS);
	watchdog_pause();
	watchdog_resume();
	pass(20 * TIMEOUT_MS);
}

static void
test_who_does_nothing_for_the_whole_time_is_late(void **state)
{
	(void)state;
	assert_true(is_late(do_nothing));
}

static void
test_who_calls_it_off_is_not_late(void **state)
{
	(void)state;
	assert_false(is_late(call_off));
}

static void
test_a_ping_gives_the_whole_time_again(void **state)
{
	(void)state;
	assert_false(is_late(ping));
	assert_true(is_late(ping_and_stop));
}

static void
test_the_time_stands_still_in_a_pause_and_runs_after_it(void **state)
{
	(void)state;
	assert_false(is_late(pause_and_go_on));
	assert_true(is_late(pause_and_stop));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_who_does_nothing_for_the_whole_time_is_late),
		cmocka_unit_test(test_who_calls_it_off_is_not_late),
		cmocka_unit_test(test_a_ping_gives_the_whole_time_again),
		cmocka_unit_test(test_the_time_stands_still_in_a_pause_and_runs_after_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
