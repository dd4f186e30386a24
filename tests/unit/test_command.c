/*
 * What the commands of the client have in common.
 *
 * SPDX-License-Identifier: MIT
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "ctl/command.h"
#include "ctl/command_word.h"
#include "ctl/signal_name.h"

static const char *const names[] = { "exec", "shell", "status", "stat", "cp", "clock-sync" };

static const char *
nearest(const char *word)
{
	return command_word_meant(word, names, (int)(sizeof(names) / sizeof(names[0])));
}

static void
assert_printable(const char *text, unsigned size, const char *expected)
{
	char out[64];

	command_make_printable(text, out, size);
	assert_string_equal(out, expected);
}

static void
test_a_mistyped_word_finds_the_nearest(void **state)
{
	(void)state;
	assert_string_equal(nearest("exce"), "exec");
	assert_string_equal(nearest("statsu"), "status");
	assert_string_equal(nearest("stta"), "stat");
	assert_string_equal(nearest("clock_sync"), "clock-sync");
	assert_string_equal(nearest("exec"), "exec");
}

static void
test_a_word_that_is_far_from_all_finds_none(void **state)
{
	(void)state;
	assert_null(nearest("frobnicate"));
	assert_null(nearest("x"));
	assert_null(nearest(""));
	assert_null(nearest("a-word-that-is-longer-than-any-command-could-ever-be"));
}

static void
test_control_characters_are_made_harmless(void **state)
{
	(void)state;
	assert_printable("plain \xc3\xa4", 64, "plain \xc3\xa4");
	assert_printable("\x1b[31m\n\t\x7f", 64, "?[31m???");
	assert_printable("a\xc2\x9b"
			 "b\xc2\xa0",
	    64, "a?b\xc2\xa0");
	assert_printable("\xc2", 64, "\xc2");
}

static void
test_text_that_does_not_fit_is_cut(void **state)
{
	(void)state;
	assert_printable("abcdef", 4, "abc");
	assert_printable("abc", 4, "abc");
	assert_printable("abc", 1, "");
}

static void
test_numbers_are_whole_and_in_range(void **state)
{
	static const char *const bad[] = { "", "-1", "+1", " 1", "1 ", "1.0", "0x1", "11", "4",
		"18446744073709551616" };
	uint64_t number = 7;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_true(command_parse_number(bad[i], 5, 10, &number) < 0);
	assert_int_equal(number, 7);
	assert_int_equal(command_parse_number("10", 5, 10, &number), 0);
	assert_int_equal(number, 10);
	assert_int_equal(command_parse_number("5", 5, 10, &number), 0);
	assert_int_equal(number, 5);
}

static void
test_signals_are_read_by_name_and_number(void **state)
{
	(void)state;
	assert_int_equal(signal_name_parse("TERM"), 15);
	assert_int_equal(signal_name_parse("sigkill"), 9);
	assert_int_equal(signal_name_parse("SIGHUP"), 1);
	assert_int_equal(signal_name_parse("64"), 64);
	assert_true(signal_name_parse("65") < 0);
	assert_true(signal_name_parse("0") < 0);
	assert_true(signal_name_parse("") < 0);
	assert_true(signal_name_parse("SIG") < 0);
	assert_true(signal_name_parse("NONE") < 0);
}

static void
test_signals_are_written_by_name(void **state)
{
	char text[SIGNAL_NAME_MAX];

	(void)state;
	signal_name_format(9, text);
	assert_string_equal(text, "SIGKILL");
	signal_name_format(40, text);
	assert_string_equal(text, "signal 40");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_mistyped_word_finds_the_nearest),
		cmocka_unit_test(test_a_word_that_is_far_from_all_finds_none),
		cmocka_unit_test(test_control_characters_are_made_harmless),
		cmocka_unit_test(test_text_that_does_not_fit_is_cut),
		cmocka_unit_test(test_numbers_are_whole_and_in_range),
		cmocka_unit_test(test_signals_are_read_by_name_and_number),
		cmocka_unit_test(test_signals_are_written_by_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
