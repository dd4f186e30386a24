/*
 * How large the pool is, and how much of it is kept for control.
 *
 * SPDX-License-Identifier: MIT
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "supervisor/supervisor.h"

#define MIB (1024ull * 1024)

static void
test_there_is_a_place_for_each_8_mib_within_bounds(void **state)
{
	(void)state;
	assert_int_equal(supervisor_default_workers(0, 0), 16);
	assert_int_equal(supervisor_default_workers(64 * MIB, 0), 16);
	assert_int_equal(supervisor_default_workers(128 * MIB, 0), 16);
	assert_int_equal(supervisor_default_workers(136 * MIB, 0), 17);
	assert_int_equal(supervisor_default_workers(136 * MIB - 1, 0), 16);
	assert_int_equal(supervisor_default_workers(256 * MIB, 0), 32);
	assert_int_equal(supervisor_default_workers(512 * MIB, 0), 64);
	assert_int_equal(supervisor_default_workers(UINT64_MAX, 0), 64);
}

static void
test_the_reserved_workers_take_no_places_away(void **state)
{
	(void)state;
	assert_int_equal(supervisor_default_workers(0, 2), 18);
	assert_int_equal(supervisor_default_workers(512 * MIB, 2), 66);
	assert_int_equal(supervisor_default_workers(512 * MIB, 100), 164);
	assert_int_equal(supervisor_default_workers(512 * MIB, UINT32_MAX), SCOREBOARD_WORKERS_MAX);
}

static void
test_at_least_one_worker_is_left_for_programs(void **state)
{
	(void)state;
	assert_int_equal(supervisor_clamp_reserved(2, 64), 2);
	assert_int_equal(supervisor_clamp_reserved(0, 64), 0);
	assert_int_equal(supervisor_clamp_reserved(2, 3), 2);
	assert_int_equal(supervisor_clamp_reserved(2, 2), 1);
	assert_int_equal(supervisor_clamp_reserved(1023, 16), 15);
	assert_int_equal(supervisor_clamp_reserved(2, 1), 0);
	assert_int_equal(supervisor_clamp_reserved(0, 1), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_there_is_a_place_for_each_8_mib_within_bounds),
		cmocka_unit_test(test_the_reserved_workers_take_no_places_away),
		cmocka_unit_test(test_at_least_one_worker_is_left_for_programs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
