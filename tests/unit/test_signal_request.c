/*
 * The word by which KILL asks for a signal.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "shared/signal_request.h"

#define SESSION 7
#define OTHER 8

/* A deadline that is over: who has to wait gives up. */
#define NOW 0

static void
test_a_signal_is_wanted_until_it_was_sent(void **state)
{
	_Atomic uint64_t place = 0;
	_Atomic uint64_t current = SESSION;

	(void)state;
	assert_int_equal(signal_request_look(&place, SESSION), 0);
	assert_int_equal(signal_request_ask(&place, SESSION, 9, NOW), 0);
	assert_int_equal(signal_request_look(&place, SESSION), 9);
	assert_int_equal(signal_request_await(&place, &current, SESSION, 9, NOW), -ESRCH);
	signal_request_done(&place, SESSION, 9);
	assert_int_equal(signal_request_look(&place, SESSION), 0);
	assert_int_equal(signal_request_await(&place, &current, SESSION, 9, NOW), 0);
}

static void
test_who_asked_hears_of_it_though_the_session_is_over_by_then(void **state)
{
	_Atomic uint64_t place = 0;
	_Atomic uint64_t current = SESSION;

	(void)state;
	assert_int_equal(signal_request_ask(&place, SESSION, 64, NOW), 0);
	signal_request_done(&place, SESSION, 64);
	atomic_store(&current, 0);
	assert_int_equal(signal_request_await(&place, &current, SESSION, 64, UINT64_MAX), 0);
}

static void
test_a_session_that_was_over_before_is_not_there(void **state)
{
	_Atomic uint64_t place = 0;
	_Atomic uint64_t current = OTHER;

	(void)state;
	assert_int_equal(signal_request_ask(&place, SESSION, 15, NOW), 0);
	assert_int_equal(signal_request_await(&place, &current, SESSION, 15, UINT64_MAX), -ESRCH);
}

static void
test_a_word_for_another_session_is_nothing_and_is_taken_out(void **state)
{
	_Atomic uint64_t place = 0;
	_Atomic uint64_t current = OTHER;

	(void)state;
	assert_int_equal(signal_request_ask(&place, SESSION, 15, NOW), 0);
	assert_int_equal(signal_request_look(&place, OTHER), 0);
	assert_int_equal(place, 0);
	assert_int_equal(signal_request_await(&place, &current, SESSION, 15, UINT64_MAX), -ESRCH);
}

static void
test_a_second_one_waits_for_the_first(void **state)
{
	_Atomic uint64_t place = 0;
	_Atomic uint64_t current = SESSION;

	(void)state;
	assert_int_equal(signal_request_ask(&place, SESSION, 15, NOW), 0);
	assert_int_equal(signal_request_ask(&place, SESSION, 9, NOW), -ETIMEDOUT);
	assert_int_equal(signal_request_look(&place, SESSION), 15);
	signal_request_done(&place, SESSION, 15);
	assert_int_equal(signal_request_ask(&place, SESSION, 9, NOW), 0);
	assert_int_equal(signal_request_look(&place, SESSION), 9);
	/* The first is told by the second's being there. */
	assert_int_equal(signal_request_await(&place, &current, SESSION, 15, NOW), 0);
}

static void
test_a_word_that_a_session_left_unanswered_is_in_nobodys_way(void **state)
{
	_Atomic uint64_t place = 0;

	(void)state;
	assert_int_equal(signal_request_ask(&place, SESSION, 15, NOW), 0);
	assert_int_equal(signal_request_ask(&place, OTHER, 9, NOW), 0);
	assert_int_equal(signal_request_look(&place, OTHER), 9);
	/* Too late, and not what is there. */
	signal_request_done(&place, SESSION, 15);
	assert_int_equal(signal_request_look(&place, OTHER), 9);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_signal_is_wanted_until_it_was_sent),
		cmocka_unit_test(test_who_asked_hears_of_it_though_the_session_is_over_by_then),
		cmocka_unit_test(test_a_session_that_was_over_before_is_not_there),
		cmocka_unit_test(test_a_word_for_another_session_is_nothing_and_is_taken_out),
		cmocka_unit_test(test_a_second_one_waits_for_the_first),
		cmocka_unit_test(test_a_word_that_a_session_left_unanswered_is_in_nobodys_way),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
