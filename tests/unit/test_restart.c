/*
 * When a worker that has left is replaced.
 *
 * SPDX-License-Identifier: MIT
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "supervisor/restart.h"

static void
test_the_first_death_is_replaced_at_once(void **state)
{
	struct restart restart = { 0 };

	(void)state;
	assert_int_equal(restart_delay_ms(&restart, false, 0), 0);
}

static void
test_each_death_that_follows_doubles_the_wait_up_to_a_limit(void **state)
{
	const uint32_t expected[] = { 0, 100, 200, 400, 800, 1600, 3200, 5000, 5000, 5000 };
	struct restart restart = { 0 };
	uint64_t now = 1000000;

	(void)state;
	for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
		assert_int_equal(restart_delay_ms(&restart, false, now), expected[i]);
		now += expected[i] + 10;
	}
	for (int i = 0; i < 100000; i++)
		(void)restart_delay_ms(&restart, false, now += 10);
	assert_int_equal(restart_delay_ms(&restart, false, now), RESTART_MAX_MS);
}

static void
test_a_slot_without_a_death_for_long_has_put_them_behind_it(void **state)
{
	struct restart restart = { .backoff.delay_ms = 1600, .died_ms = 5000 };
	uint64_t now = 5000 + RESTART_FORGET_MS;

	(void)state;
	assert_int_equal(restart_delay_ms(&restart, false, now), 0);
	now += RESTART_FORGET_MS - 1;
	assert_int_equal(restart_delay_ms(&restart, false, now), RESTART_FIRST_MS);
}

static void
test_workers_that_leave_of_their_own_accord_do_not_keep_the_deaths_alive(void **state)
{
	struct restart restart = { .backoff.delay_ms = 1600, .died_ms = 5000 };
	uint64_t now = 5000;

	(void)state;
	/* Each lives for less than it takes to forget. */
	for (int i = 0; i < 10; i++)
		assert_int_equal(restart_delay_ms(&restart, true, now += RESTART_FORGET_MS / 5), 0);
	assert_int_equal(restart_delay_ms(&restart, false, now), 0);
}

static void
test_a_worker_that_left_of_its_own_accord_is_replaced_at_once(void **state)
{
	struct restart restart = { .backoff.delay_ms = 1600, .died_ms = 5000 };

	(void)state;
	assert_int_equal(restart_delay_ms(&restart, true, 5000), 0);
	assert_int_equal(restart_delay_ms(&restart, true, UINT64_MAX), 0);
	/* And counts for nothing. */
	assert_int_equal(restart_delay_ms(&restart, false, 5000), 3200);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_first_death_is_replaced_at_once),
		cmocka_unit_test(test_each_death_that_follows_doubles_the_wait_up_to_a_limit),
		cmocka_unit_test(test_a_slot_without_a_death_for_long_has_put_them_behind_it),
		cmocka_unit_test(
		    test_workers_that_leave_of_their_own_accord_do_not_keep_the_deaths_alive),
		cmocka_unit_test(test_a_worker_that_left_of_its_own_accord_is_replaced_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
