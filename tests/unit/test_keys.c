/*
 * Keys that are for us and not for the program.
 *
 * SPDX-License-Identifier: MIT
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "ctl/keys.h"
#include "platform/clock.h"

static struct keys_detach keys;

static void
use(const char *text)
{
	assert_int_equal(keys_parse_detach(text, &keys), 0);
}

/* Types TEXT at NOW, of which EXPECTED has to be the program's. Returns whether it leaves. */
static bool
type_at(uint64_t now, const char *text, const char *expected)
{
	uint8_t out[64 + KEYS_DETACH_MAX];
	bool leaves;
	size_t len = keys_take_typed(&keys, (const uint8_t *)text, strlen(text), now, out, &leaves);

	assert_int_equal(len, strlen(expected));
	assert_memory_equal(out, expected, len);
	return leaves;
}

static void
test_the_keys_leave_wherever_they_are_cut(void **state)
{
	(void)state;
	use(KEYS_DETACH_DEFAULT);
	assert_true(type_at(0,
	    "ab\x1d"
	    "dcd",
	    "ab"));
	assert_false(type_at(0, "ab\x1d", "ab"));
	assert_true(type_at(KEYS_MS - 1, "d", ""));
	assert_false(type_at(0, "d", "d"));
}

static void
test_the_first_key_twice_is_one_for_the_program(void **state)
{
	(void)state;
	use(KEYS_DETACH_DEFAULT);
	assert_false(type_at(0, "\x1d\x1d", "\x1d"));
	assert_false(type_at(0, "d", "d"));
	assert_false(type_at(0, "\x1d\x1d\x1d\x1d", "\x1d\x1d"));
	assert_true(type_at(0,
	    "\x1d\x1d\x1d"
	    "d",
	    "\x1d"));
}

static void
test_another_key_gives_both_to_the_program(void **state)
{
	(void)state;
	use(KEYS_DETACH_DEFAULT);
	assert_false(type_at(0, "\x1d", ""));
	assert_false(type_at(0, "x", "\x1dx"));
	assert_false(type_at(0, "d", "d"));
}

static void
test_a_key_waits_for_the_next_for_a_second(void **state)
{
	uint8_t out[KEYS_DETACH_MAX];

	(void)state;
	use(KEYS_DETACH_DEFAULT);
	assert_true(keys.due_ms == CLOCK_NEVER);
	assert_false(type_at(5, "\x1d", ""));
	assert_true(keys.due_ms == 5 + KEYS_MS);
	assert_int_equal(keys_take_due(&keys, 4 + KEYS_MS, out), 0);
	assert_int_equal(keys_take_due(&keys, 5 + KEYS_MS, out), 1);
	assert_int_equal(out[0], 0x1d);
	assert_true(keys.due_ms == CLOCK_NEVER);
	assert_false(type_at(0, "d", "d"));
	/* Also where nobody has looked meanwhile. */
	assert_false(type_at(0, "\x1d", ""));
	assert_false(type_at(KEYS_MS, "d",
	    "\x1d"
	    "d"));
}

static void
test_a_sequence_that_begins_anew_in_itself_is_found(void **state)
{
	(void)state;
	use("a,b,a,c");
	assert_true(type_at(0, "ababac", "ab"));
	use("a,a,b");
	assert_true(type_at(0, "aaaab", "aa"));
	use("^P,^q");
	assert_false(type_at(0, "\x10\x10", "\x10"));
	assert_true(type_at(0, "\x10\x11", ""));
	use("x");
	assert_true(type_at(0, "abx", "ab"));
}

static void
test_with_none_all_is_the_programs(void **state)
{
	(void)state;
	use("none");
	assert_false(type_at(0,
	    "\x1d"
	    "d",
	    "\x1d"
	    "d"));
}

static void
test_what_is_not_a_list_of_keys_is_refused(void **state)
{
	static const char *const wrong[] = { "", ",", "a,", "ab", "ctrl-", "ctrl-1", "ctrl-ab",
		"a b", "a,,b", "\x1d", "a,b,c,d,e,f,g,h,i" };

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_true(keys_parse_detach(wrong[i], &keys) < 0);
}

static void
test_keys_are_shown_as_they_are_typed(void **state)
{
	char text[KEYS_TEXT_MAX];

	(void)state;
	use(KEYS_DETACH_DEFAULT);
	keys_format_detach(&keys, text);
	assert_string_equal(text, "Ctrl-] d");
	use("ctrl-a,ctrl-b,ctrl-c,ctrl-d,ctrl-e,ctrl-f,ctrl-g,ctrl-h");
	keys_format_detach(&keys, text);
	assert_string_equal(text + strlen(text) - 6, "Ctrl-H");
	use("none");
	keys_format_detach(&keys, text);
	assert_string_equal(text, "");
}

static void
test_the_escape_is_three_within_a_second(void **state)
{
	struct keys_escape escape = { 0 };
	const uint8_t typed[] = { KEYS_ESCAPE, KEYS_ESCAPE, KEYS_ESCAPE };

	(void)state;
	assert_false(keys_complete_escape(&escape, typed, 2, 10));
	assert_false(keys_complete_escape(&escape, typed, 1, 11 + KEYS_MS));
	assert_false(keys_complete_escape(&escape, (const uint8_t *)"x", 1, 12 + KEYS_MS));
	assert_false(keys_complete_escape(&escape, typed, 2, 13 + KEYS_MS));
	assert_true(keys_complete_escape(&escape, typed, 1, 13 + 2 * KEYS_MS));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_keys_leave_wherever_they_are_cut),
		cmocka_unit_test(test_the_first_key_twice_is_one_for_the_program),
		cmocka_unit_test(test_another_key_gives_both_to_the_program),
		cmocka_unit_test(test_a_key_waits_for_the_next_for_a_second),
		cmocka_unit_test(test_a_sequence_that_begins_anew_in_itself_is_found),
		cmocka_unit_test(test_with_none_all_is_the_programs),
		cmocka_unit_test(test_what_is_not_a_list_of_keys_is_refused),
		cmocka_unit_test(test_keys_are_shown_as_they_are_typed),
		cmocka_unit_test(test_the_escape_is_three_within_a_second),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
