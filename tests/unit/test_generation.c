/*
 * Which restore of its snapshot the guest is.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "shared/generation.h"

#define WORKERS 4

static struct scoreboard *board;
static uint64_t there;

static int
setup(void **state)
{
	(void)state;
	return scoreboard_new(WORKERS, 1, &board);
}

static void
assert_number(uint64_t number)
{
	uint64_t found;

	assert_true(generation_look(board, &found));
	assert_true(found == number);
}

/* By the worker of slot 0, to its end. */
static void
restore(uint64_t number)
{
	assert_int_equal(generation_claim(board, 0, number, &there), 0);
	generation_release(board, 0, true);
}

static void
test_at_first_there_is_none_and_any_may_come(void **state)
{
	uint64_t found;

	(void)state;
	assert_false(generation_look(board, &found));
	restore(0);
	assert_number(0);
	restore(UINT64_MAX);
	assert_number(UINT64_MAX);
}

static void
test_a_smaller_one_is_stale_and_changes_nothing(void **state)
{
	(void)state;
	restore(5);
	assert_int_equal(generation_claim(board, 1, 4, &there), -ESTALE);
	assert_true(there == 5);
	assert_number(5);
	restore(6);
}

static void
test_the_same_one_again_was_done(void **state)
{
	(void)state;
	restore(5);
	assert_int_equal(generation_claim(board, 1, 5, &there), -EALREADY);
	restore(6);
}

static void
test_the_same_one_is_done_again_where_a_step_had_failed(void **state)
{
	(void)state;
	assert_int_equal(generation_claim(board, 0, 5, &there), 0);
	generation_release(board, 0, false);
	assert_int_equal(generation_claim(board, 1, 4, &there), -ESTALE);
	restore(5);
	assert_int_equal(generation_claim(board, 1, 5, &there), -EALREADY);
}

static void
test_one_at_a_time(void **state)
{
	(void)state;
	assert_int_equal(generation_claim(board, 0, 5, &there), 0);
	assert_number(5);
	assert_int_equal(generation_claim(board, 1, 4, &there), -EBUSY);
	assert_int_equal(generation_claim(board, 1, 5, &there), -EBUSY);
	assert_int_equal(generation_claim(board, 1, 6, &there), -EBUSY);
	assert_number(5);
	/* Another can't give it back. */
	generation_release(board, 1, false);
	generation_free_dead(board, 1);
	assert_int_equal(generation_claim(board, 1, 6, &there), -EBUSY);
	generation_release(board, 0, true);
	assert_int_equal(generation_claim(board, 1, 6, &there), 0);
}

static void
test_a_worker_that_dies_leaves_the_number_and_nothing_that_was_done(void **state)
{
	(void)state;
	restore(4);
	assert_int_equal(generation_claim(board, 2, 5, &there), 0);
	generation_free_dead(board, 2);
	assert_number(5);
	assert_int_equal(generation_claim(board, 1, 4, &there), -ESTALE);
	restore(5);
}

static void
test_what_no_worker_can_have_left_there_stops_nobody(void **state)
{
	(void)state;
	atomic_store(&board->generation.claimer, WORKERS + 1);
	restore(5);
}

#define EACH(function) cmocka_unit_test_setup(function, setup)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		EACH(test_at_first_there_is_none_and_any_may_come),
		EACH(test_a_smaller_one_is_stale_and_changes_nothing),
		EACH(test_the_same_one_again_was_done),
		EACH(test_the_same_one_is_done_again_where_a_step_had_failed),
		EACH(test_one_at_a_time),
		EACH(test_a_worker_that_dies_leaves_the_number_and_nothing_that_was_done),
		EACH(test_what_no_worker_can_have_left_there_stops_nobody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
