/*
 * What an errno means, by what is on the other side.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "platform/io_error.h"

static const enum io_side sides[] = { IO_CONNECTION, IO_PIPE, IO_TERMINAL };

#define SIDES_COUNT (sizeof(sides) / sizeof(sides[0]))

static void
test_want_of_memory_is_nobodys_going(void **state)
{
	(void)state;
	for (size_t i = 0; i < SIDES_COUNT; i++) {
		assert_int_equal(io_error_read(sides[i], ENOMEM), IO_NO_MEMORY);
		assert_int_equal(io_error_read(sides[i], ENOBUFS), IO_NO_MEMORY);
	}
}

static void
test_what_is_normal_is_the_same_everywhere(void **state)
{
	(void)state;
	for (size_t i = 0; i < SIDES_COUNT; i++) {
		assert_int_equal(io_error_read(sides[i], EINTR), IO_AGAIN);
		assert_int_equal(io_error_read(sides[i], EAGAIN), IO_NOT_NOW);
		assert_int_equal(io_error_read(sides[i], EWOULDBLOCK), IO_NOT_NOW);
		assert_int_equal(io_error_read(sides[i], EPIPE), IO_GONE);
	}
}

static void
test_a_connection_goes_in_more_ways_than_a_pipe(void **state)
{
	static const int errors[] = { ECONNRESET, ECONNABORTED, ENOTCONN, ETIMEDOUT, ENODEV,
		EHOSTUNREACH };

	(void)state;
	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		assert_int_equal(io_error_read(IO_CONNECTION, errors[i]), IO_GONE);
		assert_int_equal(io_error_read(IO_PIPE, errors[i]), IO_BROKEN);
	}
}

static void
test_eio_is_the_end_of_a_terminal_and_of_nothing_else(void **state)
{
	(void)state;
	assert_int_equal(io_error_read(IO_TERMINAL, EIO), IO_GONE);
	assert_int_equal(io_error_read(IO_PIPE, EIO), IO_BROKEN);
	assert_int_equal(io_error_read(IO_CONNECTION, EIO), IO_BROKEN);
}

static void
test_what_nobody_thought_of_is_broken(void **state)
{
	(void)state;
	for (size_t i = 0; i < SIDES_COUNT; i++) {
		assert_int_equal(io_error_read(sides[i], EBADF), IO_BROKEN);
		assert_int_equal(io_error_read(sides[i], EFAULT), IO_BROKEN);
		assert_int_equal(io_error_read(sides[i], 0), IO_BROKEN);
		assert_int_equal(io_error_read(sides[i], -1), IO_BROKEN);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_want_of_memory_is_nobodys_going),
		cmocka_unit_test(test_what_is_normal_is_the_same_everywhere),
		cmocka_unit_test(test_a_connection_goes_in_more_ways_than_a_pipe),
		cmocka_unit_test(test_eio_is_the_end_of_a_terminal_and_of_nothing_else),
		cmocka_unit_test(test_what_nobody_thought_of_is_broken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
