/*
 * The kernel command line as words, with the kernel's quoting.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "protocol/kcmdline.h"

static void
assert_word(const struct kcmdline_word *word, const char *name, const char *value)
{
	assert_int_equal(word->name_len, strlen(name));
	assert_memory_equal(word->name, name, strlen(name));
	if (value == NULL) {
		assert_null(word->value);
		return;
	}
	assert_non_null(word->value);
	assert_int_equal(word->value_len, strlen(value));
	assert_memory_equal(word->value, value, strlen(value));
}

/* LINE is exactly one word. */
static void
assert_only(const char *line, const char *name, const char *value)
{
	struct kcmdline_word word;

	assert_true(kcmdline_next(&line, &word));
	assert_word(&word, name, value);
	assert_false(kcmdline_next(&line, &word));
}

static void
test_words_are_cut_at_white_space(void **state)
{
	const char *line = "  console=ttyS0\tquiet  vmm_agent.workers=8\n";
	struct kcmdline_word word;

	(void)state;
	assert_true(kcmdline_next(&line, &word));
	assert_word(&word, "console", "ttyS0");
	assert_true(kcmdline_next(&line, &word));
	assert_word(&word, "quiet", NULL);
	assert_true(kcmdline_next(&line, &word));
	assert_word(&word, "vmm_agent.workers", "8");
	assert_false(kcmdline_next(&line, &word));
	assert_false(kcmdline_next(&line, &word));
}

static void
test_an_empty_line_has_no_words(void **state)
{
	const char *empty = "";
	const char *blank = " \n";
	struct kcmdline_word word;

	(void)state;
	assert_false(kcmdline_next(&empty, &word));
	assert_false(kcmdline_next(&blank, &word));
}

static void
test_quotes_keep_white_space(void **state)
{
	(void)state;
	assert_only("name=\"a b\"", "name", "a b");
	assert_only("\"name=a b\"", "name", "a b");
	assert_only("\"a b\"", "a b", NULL);
	assert_only("name=\"\"", "name", "");
}

static void
test_a_missing_closing_quote_takes_the_rest(void **state)
{
	(void)state;
	assert_only("name=\"a b c", "name", "a b c");
	assert_only("\"", "", NULL);
	assert_only("name=\"", "name", "");
}

static void
test_quotes_in_the_middle_stay(void **state)
{
	(void)state;
	assert_only("name=a\"b c\"d", "name", "a\"b c\"d");
}

static void
test_only_the_first_equals_sign_divides(void **state)
{
	(void)state;
	assert_only("root=UUID=12", "root", "UUID=12");
	assert_only("name=", "name", "");
	assert_only("=x", "=x", NULL);
	assert_only("==x", "=", "x");
}

static void
test_words_behind_two_dashes_are_not_the_kernels(void **state)
{
	char value[16];

	(void)state;
	assert_int_equal(kcmdline_get("a=1 -- a=2", "a", value, sizeof(value)), 0);
	assert_string_equal(value, "1");
	assert_int_equal(kcmdline_get("-- a=2", "a", value, sizeof(value)), -ENOENT);
}

static void
test_dash_and_underscore_are_one(void **state)
{
	char value[16];

	(void)state;
	assert_int_equal(
	    kcmdline_get("vmm_agent.max-file_mib=7", "vmm_agent.max_file_mib", value, 16), 0);
	assert_string_equal(value, "7");
	assert_int_equal(kcmdline_get("vmm_agent.work=7", "vmm_agent.workers", value, 16), -ENOENT);
	assert_int_equal(
	    kcmdline_get("vmm_agent.workersx=7", "vmm_agent.workers", value, 16), -ENOENT);
}

static void
test_the_last_word_of_a_name_wins(void **state)
{
	char value[16];

	(void)state;
	assert_int_equal(kcmdline_get("ip=off quiet ip=dhcp", "ip", value, sizeof(value)), 0);
	assert_string_equal(value, "dhcp");
}

static void
test_a_word_without_a_value_is_not_found(void **state)
{
	char value[16];

	(void)state;
	assert_int_equal(kcmdline_get("quiet ip", "ip", value, sizeof(value)), -ENOENT);
}

static void
test_a_value_that_does_not_fit_is_refused(void **state)
{
	char value[4] = "old";

	(void)state;
	assert_int_equal(kcmdline_get("a=1234", "a", value, sizeof(value)), -ENAMETOOLONG);
	assert_string_equal(value, "old");
	assert_int_equal(kcmdline_get("a=123", "a", value, sizeof(value)), 0);
	assert_string_equal(value, "123");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_words_are_cut_at_white_space),
		cmocka_unit_test(test_an_empty_line_has_no_words),
		cmocka_unit_test(test_quotes_keep_white_space),
		cmocka_unit_test(test_a_missing_closing_quote_takes_the_rest),
		cmocka_unit_test(test_quotes_in_the_middle_stay),
		cmocka_unit_test(test_only_the_first_equals_sign_divides),
		cmocka_unit_test(test_words_behind_two_dashes_are_not_the_kernels),
		cmocka_unit_test(test_dash_and_underscore_are_one),
		cmocka_unit_test(test_the_last_word_of_a_name_wins),
		cmocka_unit_test(test_a_word_without_a_value_is_not_found),
		cmocka_unit_test(test_a_value_that_does_not_fit_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
