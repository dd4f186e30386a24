/*
 * Delays between tries.
 *
 * SPDX-License-Identifier: MIT
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "platform/backoff.h"

static void
test_each_delay_is_twice_the_one_before_up_to_the_limit(void **state)
{
	const uint32_t expected[] = { 100, 200, 400, 800, 1600, 3200, 5000, 5000 };
	struct backoff backoff = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++)
		assert_int_equal(backoff_next_ms(&backoff, 100, 5000), expected[i]);
	for (int i = 0; i < 100000; i++)
		assert_int_equal(backoff_next_ms(&backoff, 100, 5000), 5000);
}

static void
test_a_limit_that_no_doubling_can_reach_is_reached_all_the_same(void **state)
{
	struct backoff backoff = { 0 };

	(void)state;
	for (int i = 0; i < 100; i++)
		(void)backoff_next_ms(&backoff, 3, UINT32_MAX);
	assert_int_equal(backoff_next_ms(&backoff, 3, UINT32_MAX), UINT32_MAX);
}

static void
test_after_a_success_it_begins_anew(void **state)
{
	struct backoff backoff = { 0 };

	(void)state;
	(void)backoff_next_ms(&backoff, 10, 1000);
	(void)backoff_next_ms(&backoff, 10, 1000);
	backoff_reset(&backoff);
	assert_int_equal(backoff_next_ms(&backoff, 10, 1000), 10);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_delay_is_twice_the_one_before_up_to_the_limit),
		cmocka_unit_test(test_a_limit_that_no_doubling_can_reach_is_reached_all_the_same),
		cmocka_unit_test(test_after_a_success_it_begins_anew),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
