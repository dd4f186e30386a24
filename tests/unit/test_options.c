/*
 * A table of options, as getopt_long(3) reads it and as --help shows it.
 *
 * SPDX-License-Identifier: MIT
 */
#include <getopt.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "ctl/options.h"

static enum {
	GREEN,
	RED
} colour;
static bool is_long;
static const char *user;
static uint64_t bytes;
static uint32_t seconds;

static const struct options_row rows[] = {
	OPTIONS_FLAG("long", 'l', &is_long, "a word"),
	{ .letter = 'a', .take = options_take_nothing },
	OPTIONS_VALUE("red", &colour, RED,
	    "one two three four five six seven eight nine ten eleven twelve thirteen"),
	OPTIONS_TEXT("user", 'u', "USER", &user, "first\n  second"),
	OPTIONS_TEXT(NULL, 'c', "LINE", &user, "a line"),
	OPTIONS_BYTES("length", "N", &bytes, "N bytes"),
	OPTIONS_SECONDS("timeout", "S", &seconds, "S seconds"),
	OPTIONS_OPERAND("PORT", "any"),
	{ .name = "report", .argument = "[=FILE]", .take = options_take_text, .into = &user },
	OPTIONS_END,
};

/* Reads the words of LINE. */
static enum options_end
read_line(const char *line, bool in_order)
{
	static char copy[128];
	char *argv[16] = { (char *)(uintptr_t) "test" };
	char *rest = copy;
	int argc = 1;

	assert_true(strlcpy(copy, line, sizeof(copy)) < sizeof(copy));
	while ((argv[argc] = strsep(&rest, " ")) != NULL)
		argc++;
	colour = GREEN;
	is_long = false;
	user = NULL;
	bytes = seconds = 0;
	optind = 0;
	return options_read(rows, in_order, argc, argv);
}

static void
test_each_option_goes_where_its_row_says(void **state)
{
	(void)state;
	assert_int_equal(
	    read_line("-la -u me --red --length 2K --timeout=3 x", false), OPTIONS_READ);
	assert_true(is_long);
	assert_string_equal(user, "me");
	assert_int_equal(colour, RED);
	assert_int_equal(bytes, 2048);
	assert_int_equal(seconds, 3);
}

static void
test_an_argument_that_may_be_left_out_is_left_out(void **state)
{
	(void)state;
	assert_int_equal(read_line("--report x", false), OPTIONS_READ);
	assert_null(user);
	assert_int_equal(read_line("--report=x", false), OPTIONS_READ);
	assert_string_equal(user, "x");
}

static void
test_options_behind_an_operand_may_be_a_program_s(void **state)
{
	(void)state;
	assert_int_equal(read_line("x -l", true), OPTIONS_READ);
	assert_false(is_long);
	assert_int_equal(optind, 1);
	assert_int_equal(read_line("x -l", false), OPTIONS_READ);
	assert_true(is_long);
}

static void
test_what_is_not_in_the_table_or_not_a_number_is_wrong(void **state)
{
	(void)state;
	assert_int_equal(read_line("--frob", false), OPTIONS_WRONG);
	assert_int_equal(read_line("-u", false), OPTIONS_WRONG);
	assert_int_equal(read_line("--length 1X", false), OPTIONS_WRONG);
	assert_int_equal(read_line("--timeout 4294967296", false), OPTIONS_WRONG);
	assert_int_equal(read_line("-l --help", false), OPTIONS_HELP);
}

/* The descriptor is exchanged, as stdout itself is constant where the C library is musl. */
static void
print_into(char *text, size_t size, const struct options_row *table)
{
	FILE *file = tmpfile();
	int old = dup(STDOUT_FILENO);
	size_t len;

	assert_non_null(file);
	assert_int_equal(fflush(stdout), 0);
	assert_int_equal(dup2(fileno(file), STDOUT_FILENO), STDOUT_FILENO);
	options_print(table);
	(void)fflush(stdout);
	assert_int_equal(dup2(old, STDOUT_FILENO), STDOUT_FILENO);
	(void)close(old);
	rewind(file);
	len = fread(text, 1, size - 1, file);
	text[len] = '\0';
	(void)fclose(file);
}

static void
test_help_is_one_table_of_80_columns(void **state)
{
	static const char *const expected =
	    "  -l, --long       a word\n"
	    "      --red        one two three four five six seven eight nine ten eleven\n"
	    "                   twelve thirteen\n"
	    "  -u, --user USER  first\n"
	    "                     second\n"
	    "  -c LINE          a line\n"
	    "      --length N   N bytes\n"
	    "      --timeout S  S seconds\n"
	    "  PORT             any\n"
	    "  -h, --help       show this help\n";
	char text[2048];

	(void)state;
	print_into(text, sizeof(text), rows);
	assert_string_equal(text, expected);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_option_goes_where_its_row_says),
		cmocka_unit_test(test_an_argument_that_may_be_left_out_is_left_out),
		cmocka_unit_test(test_options_behind_an_operand_may_be_a_program_s),
		cmocka_unit_test(test_what_is_not_in_the_table_or_not_a_number_is_wrong),
		cmocka_unit_test(test_help_is_one_table_of_80_columns),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
