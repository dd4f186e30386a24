/*
 * Text made by a format.
 *
 * SPDX-License-Identifier: MIT
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "platform/text.h"

static void
test_the_length_is_that_of_what_stands_there(void **state)
{
	char text[8];

	(void)state;
	assert_int_equal(text_format(text, sizeof(text), "%s-%d", "a", 12), 4);
	assert_string_equal(text, "a-12");
	assert_int_equal(text_format(text, sizeof(text), "%s", ""), 0);
	assert_string_equal(text, "");
}

static void
test_what_does_not_fit_is_cut_and_not_counted(void **state)
{
	char text[8] = "xxxxxxx";

	(void)state;
	assert_int_equal(text_format(text, 5, "%d", 123456), 4);
	assert_memory_equal(text, "1234\0xx", 8);
	assert_int_equal(text_format(text, 1, "%d", 7), 0);
	assert_string_equal(text, "");
}

static void
test_parts_can_be_put_behind_one_another_until_it_is_full(void **state)
{
	char text[6];
	size_t len = 0;

	(void)state;
	for (int i = 0; i < 10; i++)
		len += text_format(text + len, sizeof(text) - len, "%d,", i);
	assert_int_equal(len, 5);
	assert_string_equal(text, "0,1,2");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_length_is_that_of_what_stands_there),
		cmocka_unit_test(test_what_does_not_fit_is_cut_and_not_counted),
		cmocka_unit_test(test_parts_can_be_put_behind_one_another_until_it_is_full),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
