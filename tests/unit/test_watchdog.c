/*
 * Unit tests of platform/watchdog. The clock is this file's, and so is the kernel's timer:
 * no machine is too busy for them. That a timer shows is test_watchdogs' to see.
 *
 * SPDX-License-Identifier: MIT
 */
#include "platform/watchdog.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/timerfd.h>

#include <cmocka.h>

#include "platform/clock.h"

#define TIMER_FD 1000 /* none: who asked the kernel for it would be told so */
#define TIMEOUT_MS 200

static uint64_t now_ms;
static uint64_t due_ms; /* of the timer; CLOCK_NEVER: it is not set */
static int settings;
static bool is_late;

uint64_t
clock_mono_ms(void)
{
	return now_ms;
}

/* A static musl has it in one object with the other, and would bring both. Nothing calls it. */
int
timerfd_create(int clock, int flags)
{
	(void)clock;
	(void)flags;
	fail();
	return -1;
}

int
timerfd_settime(int fd, int flags, const struct itimerspec *when, struct itimerspec *old)
{
	uint64_t in_ms =
	    (uint64_t)when->it_value.tv_sec * 1000 + (uint64_t)when->it_value.tv_nsec / 1000000;

	assert_int_equal(fd, TIMER_FD);
	assert_int_equal(flags, 0);
	assert_null(old);
	assert_int_equal(when->it_interval.tv_sec + when->it_interval.tv_nsec, 0);
	due_ms = in_ms > 0 ? now_ms + in_ms : CLOCK_NEVER;
	settings++;
	return 0;
}

static void
pass(uint64_t ms)
{
	now_ms += ms;
	is_late = is_late || now_ms >= due_ms;
}

static int
begin(void **state)
{
	(void)state;
	watchdog_init(TIMER_FD);
	watchdog_set(0);
	now_ms = 1000000;
	due_ms = CLOCK_NEVER;
	settings = 0;
	is_late = false;
	return 0;
}

static void
test_who_does_nothing_for_the_whole_time_is_late(void **state)
{
	(void)state;
	watchdog_set(TIMEOUT_MS);
	pass(TIMEOUT_MS - 1);
	assert_false(is_late);
	pass(1);
	assert_true(is_late);
}

static void
test_who_calls_it_off_is_not_late(void **state)
{
	(void)state;
	watchdog_set(TIMEOUT_MS);
	watchdog_set(0);
	watchdog_ping();
	watchdog_pause();
	watchdog_resume();
	pass(3 * TIMEOUT_MS);
	assert_false(is_late);
}

static void
ping_for(uint64_t ms, uint64_t each_ms)
{
	for (uint64_t i = 0; i < ms / each_ms; i++) {
		pass(each_ms);
		watchdog_ping();
	}
}

static void
test_a_ping_gives_the_whole_time_again(void **state)
{
	(void)state;
	watchdog_set(TIMEOUT_MS);
	ping_for(3 * TIMEOUT_MS, TIMEOUT_MS - 1);
	assert_false(is_late);
	pass(TIMEOUT_MS);
	assert_true(is_late);
}

static void
test_pings_that_come_often_set_the_timer_a_few_times(void **state)
{
	(void)state;
	watchdog_set(TIMEOUT_MS);
	ping_for(3 * TIMEOUT_MS, 1);
	assert_false(is_late);
	assert_in_range(settings, 3 * WATCHDOG_PINGS / 2, 1 + 3 * WATCHDOG_PINGS);
}

static void
test_the_time_stands_still_in_a_pause_and_runs_after_it(void **state)
{
	(void)state;
	watchdog_set(TIMEOUT_MS);
	pass(TIMEOUT_MS / 2);
	watchdog_pause();
	pass(3 * TIMEOUT_MS);
	watchdog_resume();
	pass(TIMEOUT_MS - 1);
	assert_false(is_late);
	pass(1);
	assert_true(is_late);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_who_does_nothing_for_the_whole_time_is_late, begin),
		cmocka_unit_test_setup(test_who_calls_it_off_is_not_late, begin),
		cmocka_unit_test_setup(test_a_ping_gives_the_whole_time_again, begin),
		cmocka_unit_test_setup(test_pings_that_come_often_set_the_timer_a_few_times, begin),
		cmocka_unit_test_setup(
		    test_the_time_stands_still_in_a_pause_and_runs_after_it, begin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
