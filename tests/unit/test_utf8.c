/*
 * Names that a guest chose, made fit for JSON.
 *
 * SPDX-License-Identifier: MIT
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "protocol/utf8.h"

#define BAD "\xef\xbf\xbd"

static void
assert_made(const char *text, const char *expected)
{
	char out[128];

	assert_int_equal(utf8_make_valid(text, out, sizeof(out)), strlen(expected));
	assert_string_equal(out, expected);
	assert_int_equal(utf8_is_valid(text), strcmp(text, expected) == 0);
}

static void
test_well_formed_text_is_kept(void **state)
{
	(void)state;
	assert_made("", "");
	assert_made("plain", "plain");
	assert_made("\x01\x7f", "\x01\x7f");
	assert_made("\xc2\x80 \xdf\xbf", "\xc2\x80 \xdf\xbf");
	assert_made("\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80", "\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80");
	assert_made("\xf0\x90\x80\x80\xf4\x8f\xbf\xbf", "\xf0\x90\x80\x80\xf4\x8f\xbf\xbf");
}

static void
test_each_bad_byte_is_replaced(void **state)
{
	(void)state;
	assert_made("a\xff"
		    "b",
	    "a" BAD "b");
	assert_made("\x80\xbf", BAD BAD);
	assert_made("\xf5\xfe", BAD BAD);
}

static void
test_overlong_forms_are_bad(void **state)
{
	(void)state;
	assert_made("\xc0\x80", BAD BAD);
	assert_made("\xc1\xbf", BAD BAD);
	assert_made("\xe0\x9f\xbf", BAD BAD BAD);
	assert_made("\xf0\x8f\xbf\xbf", BAD BAD BAD BAD);
}

static void
test_surrogates_and_what_is_above_the_last_character_are_bad(void **state)
{
	(void)state;
	assert_made("\xed\xa0\x80", BAD BAD BAD);
	assert_made("\xed\xbf\xbf", BAD BAD BAD);
	assert_made("\xf4\x90\x80\x80", BAD BAD BAD BAD);
}

static void
test_a_character_that_is_cut_short_does_not_swallow_what_follows(void **state)
{
	(void)state;
	assert_made("\xe2\x82", BAD BAD);
	assert_made("\xe2\x82x", BAD BAD "x");
	assert_made("\xf0\x9f\x98", BAD BAD BAD);
	assert_made("\xc3", BAD);
	assert_made("\xe2\xe2\x82\xac", BAD "\xe2\x82\xac");
}

static void
test_text_that_does_not_fit_is_cut_at_the_end_of_a_character(void **state)
{
	char out[8];

	(void)state;
	assert_int_equal(utf8_make_valid("ab\xe2\x82\xac", out, 5), 2);
	assert_string_equal(out, "ab");
	assert_int_equal(utf8_make_valid("ab\xe2\x82\xac", out, 6), 5);
	assert_string_equal(out, "ab\xe2\x82\xac");
	assert_int_equal(utf8_make_valid("ab\xff", out, 5), 2);
	assert_string_equal(out, "ab");
	assert_int_equal(utf8_make_valid("ab", out, 1), 0);
	assert_string_equal(out, "");
	memcpy(out, "keep", 5);
	assert_int_equal(utf8_make_valid("ab", out, 0), 0);
	assert_string_equal(out, "keep");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_well_formed_text_is_kept),
		cmocka_unit_test(test_each_bad_byte_is_replaced),
		cmocka_unit_test(test_overlong_forms_are_bad),
		cmocka_unit_test(test_surrogates_and_what_is_above_the_last_character_are_bad),
		cmocka_unit_test(test_a_character_that_is_cut_short_does_not_swallow_what_follows),
		cmocka_unit_test(test_text_that_does_not_fit_is_cut_at_the_end_of_a_character),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
