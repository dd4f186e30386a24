/*
 * When a worker that has left is replaced.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "supervisor/backoff.h"

static void
test_the_first_death_is_replaced_at_once(void **state)
{
	struct backoff backoff = { 0 };

	(void)state;
	assert_int_equal(backoff_next_ms(&backoff, false, 0), 0);
}

static void
test_each_death_that_follows_doubles_the_wait_up_to_a_limit(void **state)
{
	const uint32_t expected[] = { 0, 100, 200, 400, 800, 1600, 3200, 5000, 5000, 5000 };
	struct backoff backoff = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++)
		assert_int_equal(backoff_next_ms(&backoff, false, 10), expected[i]);
	for (int i = 0; i < 100000; i++)
		(void)backoff_next_ms(&backoff, false, 10);
	assert_int_equal(backoff_next_ms(&backoff, false, 10), BACKOFF_MAX_MS);
}

static void
test_a_worker_that_lived_long_has_put_the_deaths_behind_it(void **state)
{
	struct backoff backoff = { .deaths = 6 };

	(void)state;
	assert_int_equal(backoff_next_ms(&backoff, false, BACKOFF_FORGET_MS), 0);
	assert_int_equal(backoff_next_ms(&backoff, false, BACKOFF_FORGET_MS - 1), BACKOFF_FIRST_MS);
}

static void
test_a_worker_that_left_of_its_own_accord_is_replaced_at_once(void **state)
{
	struct backoff backoff = { .deaths = 6 };

	(void)state;
	assert_int_equal(backoff_next_ms(&backoff, true, 0), 0);
	assert_int_equal(backoff_next_ms(&backoff, true, UINT64_MAX), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_first_death_is_replaced_at_once),
		cmocka_unit_test(test_each_death_that_follows_doubles_the_wait_up_to_a_limit),
		cmocka_unit_test(test_a_worker_that_lived_long_has_put_the_deaths_behind_it),
		cmocka_unit_test(test_a_worker_that_left_of_its_own_accord_is_replaced_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
