/*
 * The time that the guest ran, by a clock that the test sets.
 *
 * SPDX-License-Identifier: MIT
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "platform/clock.h"
#include "platform/run_clock.h"

#define SECOND UINT64_C(1000)
#define DAY (24 * 3600 * SECOND)
#define BEGIN (7 * DAY) /* what CLOCK_MONOTONIC shows at first */
#define WAITS_MAX 100000

/* Waits for TIMEOUT, with CLOCK_MONOTONIC further on by JUMP once the guest has run for
 * AFTER (which ends the wait, as it is over by then), and each wait LATE. Returns for how
 * long the guest had run when the timeout was met. */
static uint64_t
run_until(uint64_t timeout, uint64_t after, uint64_t jump, uint64_t late)
{
	struct run_clock clock;
	uint64_t now = BEGIN;
	uint64_t jumped = 0;
	uint64_t deadline;

	run_clock_init(&clock, now);
	deadline = run_clock_look(&clock, now) + timeout;
	for (int i = 0; i < WAITS_MAX; i++) {
		uint64_t due = run_clock_plan(&clock, deadline);

		assert_true(due >= now && due <= now + timeout);
		if (jumped == 0 && jump > 0 && due - BEGIN > after) {
			jumped = jump;
			now = BEGIN + after + jump;
		} else {
			now = due + late;
		}
		if (run_clock_look(&clock, now) >= deadline)
			return now - jumped - BEGIN;
	}
	fail();
	return 0;
}

static void
test_without_a_jump_a_timeout_is_met_on_time(void **state)
{
	(void)state;
	assert_int_equal(run_until(1, 0, 0, 0), 1);
	assert_int_equal(run_until(5 * SECOND, 0, 0, 0), 5 * SECOND);
	assert_int_equal(run_until(7 * DAY, 0, 0, 0), 7 * DAY);
}

static void
test_a_timeout_of_5_s_outlives_a_jump_of_3_days_and_is_met_after_its_rest(void **state)
{
	(void)state;
	for (uint64_t after = 0; after < 5 * SECOND; after += 100) {
		uint64_t ran = run_until(5 * SECOND, after, 3 * DAY, 0);

		assert_true(ran >= 5 * SECOND - RUN_CLOCK_WAIT_MIN_MS);
		assert_true(ran <= 5 * SECOND);
	}
}

static void
test_a_keep_of_600_s_outlives_a_jump_but_for_the_wait_that_it_came_in(void **state)
{
	(void)state;
	for (uint64_t after = 0; after < 600 * SECOND; after += 7 * SECOND) {
		uint64_t ran = run_until(600 * SECOND, after, 3 * DAY, 0);

		assert_true(ran >= 600 * SECOND - RUN_CLOCK_WAIT_MAX_MS);
		assert_true(ran <= 600 * SECOND);
	}
}

static void
test_a_jump_takes_at_most_an_eighth_of_what_was_left(void **state)
{
	(void)state;
	for (uint64_t after = 0; after < 60 * SECOND; after += SECOND) {
		uint64_t left = 60 * SECOND - after;
		uint64_t ran = run_until(60 * SECOND, after, DAY, 0);

		assert_true(
		    60 * SECOND - ran <= left / RUN_CLOCK_WAIT_PART + RUN_CLOCK_WAIT_MIN_MS);
	}
}

static void
test_waking_up_late_on_a_loaded_machine_is_time_that_passed(void **state)
{
	struct run_clock clock;

	(void)state;
	assert_int_equal(run_until(SECOND, 0, 0, 1999), 2999);
	run_clock_init(&clock, BEGIN);
	(void)run_clock_plan(&clock, BEGIN + SECOND);
	assert_int_equal(run_clock_look(&clock, BEGIN + 3 * SECOND), BEGIN + 3 * SECOND);
	(void)run_clock_plan(&clock, BEGIN + 4 * SECOND);
	assert_int_equal(run_clock_look(&clock, BEGIN + 6 * SECOND + 1), BEGIN + 4 * SECOND);
}

static void
test_a_jump_between_two_waits_is_seen_too(void **state)
{
	struct run_clock clock;

	(void)state;
	run_clock_init(&clock, BEGIN);
	/* Something else was done meanwhile; a wait for it would begin with this look. */
	assert_int_equal(run_clock_look(&clock, BEGIN + 3 * DAY), BEGIN);
	assert_int_equal(run_clock_plan(&clock, BEGIN + 1), BEGIN + 3 * DAY + 1);
}

static void
test_a_wait_without_an_end_counts_whatever_it_took(void **state)
{
	struct run_clock clock;

	(void)state;
	run_clock_init(&clock, BEGIN);
	assert_int_equal(run_clock_plan(&clock, CLOCK_NEVER), CLOCK_NEVER);
	assert_int_equal(run_clock_look(&clock, BEGIN + 3 * DAY), BEGIN + 3 * DAY);
}

static void
test_what_is_overdue_is_not_waited_for(void **state)
{
	struct run_clock clock;

	(void)state;
	run_clock_init(&clock, BEGIN);
	assert_int_equal(run_clock_plan(&clock, 0), BEGIN);
	assert_int_equal(run_clock_plan(&clock, BEGIN), BEGIN);
}

static void
test_a_week_takes_few_wake_ups(void **state)
{
	struct run_clock clock;
	uint64_t now = BEGIN;
	uint64_t waits = 0;

	(void)state;
	run_clock_init(&clock, now);
	while (run_clock_look(&clock, now) < BEGIN + 7 * DAY) {
		now = run_clock_plan(&clock, BEGIN + 7 * DAY);
		waits++;
	}
	assert_true(waits <= 7 * DAY / RUN_CLOCK_WAIT_MAX_MS + 50);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_without_a_jump_a_timeout_is_met_on_time),
		cmocka_unit_test(
		    test_a_timeout_of_5_s_outlives_a_jump_of_3_days_and_is_met_after_its_rest),
		cmocka_unit_test(
		    test_a_keep_of_600_s_outlives_a_jump_but_for_the_wait_that_it_came_in),
		cmocka_unit_test(test_a_jump_takes_at_most_an_eighth_of_what_was_left),
		cmocka_unit_test(test_waking_up_late_on_a_loaded_machine_is_time_that_passed),
		cmocka_unit_test(test_a_jump_between_two_waits_is_seen_too),
		cmocka_unit_test(test_a_wait_without_an_end_counts_whatever_it_took),
		cmocka_unit_test(test_what_is_overdue_is_not_waited_for),
		cmocka_unit_test(test_a_week_takes_few_wake_ups),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
