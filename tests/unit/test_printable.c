/*
 * What a terminal obeys, and what it shows.
 *
 * SPDX-License-Identifier: MIT
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "platform/printable.h"

static void
assert_made(const char *text, const char *expected)
{
	char made[64];

	(void)strlcpy(made, text, sizeof(made));
	made[printable_make(made, strlen(made))] = '\0';
	assert_string_equal(made, expected);
}

static void
test_what_is_shown_is_left_as_it_is(void **state)
{
	static const char *const texts[] = { "", "plain ~", "\xc3\xa4\xe2\x82\xac",
		"\xf0\x9f\x98\x80", "\xe2\x9b\x84\xc3\x9b", "\xc2\xa0",
		"\xe2\x80\xa7\xe2\x80\xaf\xe2\x81\xa5\xe2\x81\xaa", "latin \xe9 1", "\xe2",
		"\xf0" };

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		assert_made(texts[i], texts[i]);
}

static void
test_control_characters_are_one_mark_each(void **state)
{
	(void)state;
	assert_made("\x1b[31m\n\r\t\x7f", "?[31m????");
	assert_made("a\xc2\x80"
		    "b\xc2\x9f",
	    "a?b?");
	assert_made("a\x9b"
		    "31m\x80\x9f",
	    "a?31m??");
}

static void
test_no_beginning_of_a_character_hides_a_control(void **state)
{
	(void)state;
	assert_made("\xff\x9b", "\xff?");
	assert_made("\xe2\x9b"
		    "31m",
	    "\xe2?31m");
	assert_made("\xe9\x1b[", "\xe9?[");
	assert_made("\xc3\x1b[", "\xc3?[");
	assert_made("\xf0\x9f\x98\x1b", "\xf0???");
}

static void
test_a_control_in_more_bytes_than_it_needs_is_one(void **state)
{
	(void)state;
	assert_made("\xc0\x9b|\xc1\xbf|\xe0\x80\x9b|\xf0\x80\x82\x9b", "?|?|?|?");
}

static void
test_nothing_changes_lines_or_directions(void **state)
{
	(void)state;
	assert_made("\xe2\x80\xa8\xe2\x80\xa9|\xe2\x80\xaa\xe2\x80\xab\xe2\x80\xac\xe2\x80\xad"
		    "\xe2\x80\xae|\xe2\x81\xa6\xe2\x81\xa7\xe2\x81\xa8\xe2\x81\xa9",
	    "??|?????|????");
}

static void
test_every_byte_alone_is_judged_by_its_number(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 256; i++) {
		char byte = (char)i;
		bool is_control;

		assert_int_equal(printable_next(&byte, 1, &is_control), 1);
		assert_int_equal(is_control, i < 0x20 || (i >= 0x7f && i < 0xa0));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_shown_is_left_as_it_is),
		cmocka_unit_test(test_control_characters_are_one_mark_each),
		cmocka_unit_test(test_no_beginning_of_a_character_hides_a_control),
		cmocka_unit_test(test_a_control_in_more_bytes_than_it_needs_is_one),
		cmocka_unit_test(test_nothing_changes_lines_or_directions),
		cmocka_unit_test(test_every_byte_alone_is_judged_by_its_number),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
