/*
 * A durable session as its host knows it, and what the command line says of one.
 *
 * SPDX-License-Identifier: MIT
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "client/durable.h"
#include "ctl/durable_options.h"

#define INSTANCE "0123456789abcdef0123456789abcdef"

static struct durable session;

static int
begin(void **state)
{
	(void)state;
	session = (struct durable){ .name = "x", .wants_input = true };
	return 0;
}

static void
assert_asks(const char *expected)
{
	size_t len;
	char *json = durable_format_attach(&session, &len);

	assert_string_equal(json, expected);
	free(json);
}

static void
start(void)
{
	const struct report report = {
		.event = REPORT_STARTED, .session = 12, .name = "x", .instance = INSTANCE
	};

	durable_take_report(&session, &report);
	assert_true(session.is_known && session.holds);
}

static void
attach_at(uint64_t offset)
{
	const struct report report = { .event = REPORT_ATTACHED,
		.session = 12,
		.name = "x",
		.instance = INSTANCE,
		.offset = offset };

	durable_take_report(&session, &report);
}

static void
test_the_number_its_agent_and_the_offset_are_asked_for(void **state)
{
	(void)state;
	start();
	assert_int_equal(durable_count_output(&session, 100), 0);
	durable_part(&session);
	assert_asks("{\"session\":12,\"instance\":\"" INSTANCE "\",\"from\":100}");
	attach_at(100);
	assert_int_equal(session.offset, 100);
}

static void
test_what_was_lost_is_counted(void **state)
{
	const struct report lost = { .event = REPORT_LOST, .offset = 300, .lost = 50 };

	(void)state;
	start();
	(void)durable_count_output(&session, 100);
	durable_part(&session);
	attach_at(150);
	assert_int_equal(durable_count_output(&session, 100), 0);
	assert_int_equal(session.offset, 250);
	durable_take_report(&session, &lost);
	assert_int_equal(session.offset, 300);
}

static void
refuse(const char *words, enum durable_refusal expected)
{
	durable_part(&session);
	durable_take_words(&session, (const uint8_t *)words, strlen(words));
	assert_int_equal(durable_read_refusal(&session), expected);
}

static void
test_the_agents_own_words_are_not_shown_twice(void **state)
{
	(void)state;
	start();
	(void)durable_count_output(&session, 100);
	(void)durable_count_output(&session, 30); /* words, and no EXIT */
	refuse("ERANGE: 130 is beyond the end\n", DURABLE_BEYOND);
	assert_asks("{\"session\":12,\"instance\":\"" INSTANCE "\",\"tail\":0}");
	attach_at(100);
	assert_int_equal(durable_count_output(&session, 20), 20);
	assert_int_equal(durable_count_output(&session, 20), 10);
	assert_int_equal(durable_count_output(&session, 20), 0);
}

static void
test_an_agent_that_refuses_any_offset_is_asked_once_more(void **state)
{
	(void)state;
	refuse("ERANGE: no\n", DURABLE_REFUSED);
	start();
	refuse("ERANGE: no\n", DURABLE_BEYOND);
	refuse("ERANGE: no\n", DURABLE_REFUSED);
}

static void
test_refusals_are_told_apart(void **state)
{
	(void)state;
	refuse("busy: 2 of 2 look places are in use\n", DURABLE_BUSY);
	refuse("ESRCH: no durable session 'x'\n", DURABLE_GONE);
	refuse("ESTALE: another agent\n", DURABLE_STALE);
	assert_string_equal(session.words, "ESTALE: another agent");
	refuse("bad ATTACH: member 'x': no\n", DURABLE_REFUSED);
	refuse("", DURABLE_REFUSED);
}

static void
test_words_of_any_length_are_cut(void **state)
{
	char words[2 * DURABLE_WORDS_MAX];

	(void)state;
	memset(words, 'x', sizeof(words));
	durable_take_words(&session, (const uint8_t *)words, sizeof(words));
	durable_take_words(&session, (const uint8_t *)words, sizeof(words));
	assert_int_equal(strlen(session.words), DURABLE_WORDS_MAX - 1);
}

static void
test_options_of_a_durable_session_are_read(void **state)
{
	struct start_durable durable = { .keep_seconds = 5 };
	static const char *const wrong[] = { "", "buffer", "buffer=", "buffer=63K", "buffer=17M",
		"keep=0", "keep=8d", "alone=x", "when-full=never", "when=drop", "buffer=1M,",
		"buffer=1M;keep=1" };

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_true(durable_options_parse(wrong[i], &durable) < 0);
	assert_int_equal(durable.keep_seconds, 5);
	assert_int_equal(durable_options_parse("buffer=64K,alone=2h,when-full=wait", &durable), 0);
	assert_int_equal(durable.buffer_bytes, 65536);
	assert_int_equal(durable.alone_seconds, 7200);
	assert_int_equal(durable.when_full, START_FULL_WAIT);
	assert_int_equal(durable.keep_seconds, 5);
	assert_int_equal(durable_options_parse("keep=7d", &durable), 0);
	assert_int_equal(durable.keep_seconds, VMM_GUEST_KEEP_SECONDS_MAX);
}

static void
test_digits_are_a_number_and_the_rest_a_name(void **state)
{
	struct session_id which = { 0 };

	(void)state;
	assert_int_equal(durable_options_parse_which("12", &which), 0);
	assert_int_equal(which.number, 12);
	which.number = 0;
	assert_int_equal(durable_options_parse_which("12a", &which), 0);
	assert_int_equal(which.number, 0);
	assert_string_equal(which.name, "12a");
	assert_true(durable_options_parse_which("0", &which) < 0);
	assert_true(durable_options_parse_which("99999999999999999999", &which) < 0);
	assert_true(durable_options_parse_which("", &which) < 0);
	assert_true(durable_options_parse_which("a/b", &which) < 0);
}

static void
test_a_drawn_name_is_one_and_says_what_runs(void **state)
{
	char name[VMM_GUEST_NAME_MAX + 1];
	struct session_id which = { 0 };

	(void)state;
	durable_options_draw_name("/usr/bin/apt get", name);
	assert_memory_equal(name, "aptget-", 7);
	assert_int_equal(durable_options_parse_which(name, &which), 0);
	assert_string_equal(which.name, name);
	durable_options_draw_name("/bin/\xc3\xa4", name);
	assert_memory_equal(name, "s-", 2);
	durable_options_draw_name(
	    "a-name-that-is-longer-than-any-that-a-session-may-have-and-is-cut", name);
	assert_true(strlen(name) <= 40);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(
		    test_the_number_its_agent_and_the_offset_are_asked_for, begin),
		cmocka_unit_test_setup(test_what_was_lost_is_counted, begin),
		cmocka_unit_test_setup(test_the_agents_own_words_are_not_shown_twice, begin),
		cmocka_unit_test_setup(
		    test_an_agent_that_refuses_any_offset_is_asked_once_more, begin),
		cmocka_unit_test_setup(test_refusals_are_told_apart, begin),
		cmocka_unit_test_setup(test_words_of_any_length_are_cut, begin),
		cmocka_unit_test_setup(test_options_of_a_durable_session_are_read, begin),
		cmocka_unit_test_setup(test_digits_are_a_number_and_the_rest_a_name, begin),
		cmocka_unit_test_setup(test_a_drawn_name_is_one_and_says_what_runs, begin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
