/*
 * Old output of a terminal session, and what a terminal answers to it.
 *
 * SPDX-License-Identifier: MIT
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "ctl/replay.h"
#include "platform/clock.h"

static struct replay replay;

static void
look(const char *text)
{
	replay_look(&replay, (const uint8_t *)text, strlen(text));
}

static bool
hold(const char *text)
{
	return replay_hold(&replay, (const uint8_t *)text, strlen(text));
}

static void
assert_held(const char *expected)
{
	assert_int_equal(replay.held_len, strlen(expected));
	assert_memory_equal(replay.held, expected, replay.held_len);
}

static void
test_text_colours_and_cursors_ask_for_nothing(void **state)
{
	(void)state;
	replay_begin(&replay);
	look("text "
	     "?c\r\n\033[1;31mred\033[m\033[2J\033[10;20H\033[?1049h\033]0;title\007c\033(B\033=");
	assert_false(replay_end(&replay, 5));
	assert_false(replay_holds(&replay));
	assert_true(replay.due_ms == CLOCK_NEVER);
}

static void
test_each_question_is_seen_also_where_it_is_cut(void **state)
{
	static const char *const questions[] = { "\033[c", "\033[>c", "\033[6n", "\033[?2026$p",
		"\033[>q", "\033[14t", "\033[?u", "\033]11;?\007", "\033]4;1;?\033\\",
		"\033P$qm\033\\", "\033Z", "\005" };

	(void)state;
	for (size_t i = 0; i < sizeof(questions) / sizeof(questions[0]); i++) {
		replay_begin(&replay);
		look("some text");
		for (const char *c = questions[i]; *c != '\0'; c++)
			replay_look(&replay, (const uint8_t *)c, 1);
		assert_true(replay_end(&replay, 5));
		assert_true(replay_holds(&replay));
		assert_true(replay.due_ms == 5 + REPLAY_MS);
	}
}

static void
test_what_is_typed_in_front_of_the_answer_is_dropped(void **state)
{
	(void)state;
	replay_begin(&replay);
	look("\033[c");
	assert_false(hold("\033[?1;2c" REPLAY_ANSWER "x"));
	assert_true(replay_end(&replay, 5));
	assert_false(hold("\033[0"));
	assert_true(hold("nabc"));
	assert_held("abc");
	assert_false(replay_holds(&replay));
}

static void
test_where_there_is_no_answer_all_is_typed(void **state)
{
	(void)state;
	replay_begin(&replay);
	look("\033[c");
	assert_true(replay_end(&replay, 5));
	assert_false(hold("ls\r"));
	replay_give_up(&replay);
	assert_held("ls\r");
	assert_false(replay_holds(&replay));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text_colours_and_cursors_ask_for_nothing),
		cmocka_unit_test(test_each_question_is_seen_also_where_it_is_cut),
		cmocka_unit_test(test_what_is_typed_in_front_of_the_answer_is_dropped),
		cmocka_unit_test(test_where_there_is_no_answer_all_is_typed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
