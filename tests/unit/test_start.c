/*
 * START's JSON: each rule of the contract, and that what is formatted is parsed.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "protocol/start.h"

#define CLEANUP_START __attribute__((cleanup(start_done)))

static struct start_request
parse(const char *text)
{
	struct start_request request = { 0 };
	struct json_error error;

	if (start_parse(text, strlen(text), &request, &error) != 0)
		fail_msg("%s: %s", text, error.text);
	assert_string_equal(error.text, "");
	return request;
}

/* TEXT is refused with an error that has WORD in it, and nothing is returned. */
static void
assert_refused(const char *text, const char *word)
{
	struct start_request request = { .argc = 77 };
	struct json_error error;

	if (start_parse(text, strlen(text), &request, &error) != -EINVAL)
		fail_msg("accepted: %s", text);
	if (strstr(error.text, word) == NULL)
		fail_msg("%s: '%s' does not say '%s'", text, error.text, word);
	assert_int_equal(request.argc, 77);
}

/* Each VALUE of member NAME is refused by its name. */
static void
assert_values_refused(const char *name, const char *const *values)
{
	char text[512];
	char word[64];

	(void)snprintf(word, sizeof(word), "'%s'", name);
	for (; *values != NULL; values++) {
		(void)snprintf(text, sizeof(text), "{\"cmd\":[\"a\"],\"%s\":%s}", name, *values);
		assert_refused(text, word);
	}
}

static void
test_what_is_not_given_has_its_default(void **state)
{
	struct start_request CLEANUP_START request = parse("{\"cmd\":[\"true\"]}");

	(void)state;
	assert_int_equal(request.argc, 1);
	assert_string_equal(request.argv[0], "true");
	assert_null(request.argv[1]);
	assert_int_equal(request.env_count, 0);
	assert_string_equal(request.working_dir, "");
	assert_string_equal(request.user, "");
	assert_false(request.tty);
	assert_int_equal(request.tty_width, 80);
	assert_int_equal(request.tty_height, 24);
	assert_int_equal(request.timeout_seconds, 0);
	assert_true(request.stdin_open);
	assert_int_equal(request.kill_grace_seconds, 0);
	assert_false(request.detach);
	assert_false(request.report);
	assert_int_equal(request.limits.have, 0);
	assert_string_equal(request.name, "");
	assert_false(request.is_durable);
}

static void
test_every_member_is_read(void **state)
{
	struct start_request CLEANUP_START request = parse(
	    "{\"cmd\":[\"sh\",\"-c\",\"\"],\"env\":{\"A\":\"1\",\"B\":\"\"},\"working_dir\":\"/w\","
	    "\"user\":\"u:g\",\"tty\":true,\"tty_width\":0,\"tty_height\":65535,"
	    "\"timeout_seconds\":4294967295,\"stdin\":false,\"kill_grace_seconds\":3,"
	    "\"detach\":false,\"report\":true}");

	(void)state;
	assert_int_equal(request.argc, 3);
	assert_string_equal(request.argv[1], "-c");
	assert_string_equal(request.argv[2], "");
	assert_null(request.argv[3]);
	assert_int_equal(request.env_count, 2);
	assert_string_equal(request.env[0].name, "A");
	assert_string_equal(request.env[0].value, "1");
	assert_string_equal(request.env[1].name, "B");
	assert_string_equal(request.env[1].value, "");
	assert_string_equal(request.working_dir, "/w");
	assert_string_equal(request.user, "u:g");
	assert_true(request.tty);
	assert_int_equal(request.tty_width, 0);
	assert_int_equal(request.tty_height, 65535);
	assert_int_equal(request.timeout_seconds, UINT32_MAX);
	assert_false(request.stdin_open);
	assert_int_equal(request.kill_grace_seconds, 3);
	assert_true(request.report);
}

static void
test_cmd_must_be_there_and_have_a_program(void **state)
{
	const char *const bad[] = { "[]", "null", "\"true\"", "{}", "1", "[\"\"]", "[\"\",\"a\"]",
		"[1]", "[null]", "[\"a\",null]", "[\"a\",1]", "[[\"a\"]]", "[\"a\",\"b\\u0000\"]",
		NULL };
	char text[256];

	(void)state;
	assert_refused("{}", "'cmd' is missing");
	assert_refused("{\"CMD\":[\"a\"]}", "'cmd' is missing");
	for (size_t i = 0; bad[i] != NULL; i++) {
		(void)snprintf(text, sizeof(text), "{\"cmd\":%s}", bad[i]);
		assert_refused(text, "'cmd'");
	}
}

static void
test_wrong_types_are_refused_by_name(void **state)
{
	const char *const no_string[] = { "null", "1", "true", "[]", "{}", NULL };
	const char *const no_flag[] = { "null", "0", "1", "\"true\"", "[]", "{}", NULL };
	const char *const no_object[] = { "null", "[]", "\"A=1\"", "1", "false", NULL };
	const char *const strings[] = { "working_dir", "user" };
	const char *const flags[] = { "tty", "stdin", "detach", "report" };
	const char *const objects[] = { "env", "limits" };

	(void)state;
	for (size_t i = 0; i < sizeof(strings) / sizeof(strings[0]); i++)
		assert_values_refused(strings[i], no_string);
	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++)
		assert_values_refused(flags[i], no_flag);
	for (size_t i = 0; i < sizeof(objects) / sizeof(objects[0]); i++)
		assert_values_refused(objects[i], no_object);
}

static void
test_numbers_are_whole_and_in_range(void **state)
{
	const char *const no_number[] = { "null", "\"1\"", "true", "[]", "{}", "-1", "1.5", "1.0",
		"1e1", "4294967296", "9223372036854775808", "18446744073709551615", NULL };
	const char *const too_large[] = { "65536", "4294967295", NULL };
	const char *const numbers[] = { "tty_width", "tty_height", "timeout_seconds",
		"kill_grace_seconds" };

	(void)state;
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		assert_values_refused(numbers[i], no_number);
	assert_values_refused("tty_width", too_large);
	assert_values_refused("tty_height", too_large);
}

static void
test_a_nul_inside_a_string_is_refused(void **state)
{
	const char *const nul[] = { "\"a\\u0000\"", "\"\\u0000\"", NULL };

	(void)state;
	assert_values_refused("working_dir", nul);
	assert_values_refused("user", nul);
	assert_refused("{\"cmd\":[\"a\"],\"env\":{\"A\":\"x\\u0000y\"}}", "'env'");
}

static void
test_a_variable_has_a_name_without_an_equals_sign(void **state)
{
	(void)state;
	assert_refused("{\"cmd\":[\"a\"],\"env\":{\"\":\"x\"}}", "'env'");
	assert_refused("{\"cmd\":[\"a\"],\"env\":{\"A=B\":\"x\"}}", "'env'");
	assert_refused("{\"cmd\":[\"a\"],\"env\":{\"=\":\"x\"}}", "'env'");
	assert_refused("{\"cmd\":[\"a\"],\"env\":{\"A\":1}}", "'env'");
	assert_refused("{\"cmd\":[\"a\"],\"env\":{\"A\":null}}", "'env'");
}

static void
test_of_duplicate_members_the_last_wins(void **state)
{
	struct start_request CLEANUP_START request =
	    parse("{\"cmd\":1,\"tty\":null,\"env\":{\"A\":\"1\",\"A\":\"2\"},"
		  "\"cmd\":[\"b\"],\"tty\":true}");

	(void)state;
	assert_string_equal(request.argv[0], "b");
	assert_true(request.tty);
	assert_int_equal(request.env_count, 1);
	assert_string_equal(request.env[0].value, "2");
	assert_refused("{\"cmd\":[\"a\"],\"cmd\":null}", "'cmd'");
}

static void
test_unknown_members_are_ignored(void **state)
{
	struct start_request CLEANUP_START request =
	    parse("{\"x\":null,\"cmd\":[\"a\"],\"Tty\":1,\"y\":[{\"z\":\"\\u0000\"}],"
		  "\"limits\":{\"new\":\"x\"}}");

	(void)state;
	assert_int_equal(request.argc, 1);
	assert_int_equal(request.limits.have, 0);
}

static void
test_white_space_may_follow_and_nothing_else(void **state)
{
	struct start_request CLEANUP_START request = parse(" {\"cmd\":[\"a\"]} \r\n\t");

	(void)state;
	assert_int_equal(request.argc, 1);
	assert_refused("{\"cmd\":[\"a\"]}x", "JSON");
	assert_refused("{\"cmd\":[\"a\"]} {}", "JSON");
	assert_refused("{\"cmd\":[\"a\"]", "JSON");
	assert_refused("[\"a\"]", "JSON");
	assert_refused("", "JSON");
	assert_refused("{\"cmd\":[\"\xff\"]}", "JSON");
}

static void
test_nesting_has_a_limit(void **state)
{
	char text[4096] = "{\"cmd\":[\"a\"],\"x\":";
	size_t len = strlen(text);

	(void)state;
	memset(text + len, '[', 1000);
	memset(text + len + 1000, ']', 1000);
	text[len + 2000] = '}';
	text[len + 2001] = '\0';
	assert_refused(text, "JSON");
}

static void
test_detach_does_not_go_with_what_needs_a_watcher(void **state)
{
	struct start_request CLEANUP_START request =
	    parse("{\"cmd\":[\"a\"],\"detach\":true,\"tty\":false,\"timeout_seconds\":0}");

	(void)state;
	assert_true(request.detach);
	assert_refused("{\"cmd\":[\"a\"],\"detach\":true,\"tty\":true}", "'detach'");
	assert_refused("{\"cmd\":[\"a\"],\"detach\":true,\"timeout_seconds\":1}", "'detach'");
	assert_refused("{\"cmd\":[\"a\"],\"detach\":true,\"kill_grace_seconds\":1}", "'detach'");
}

static void
test_a_name_is_short_and_of_a_few_characters(void **state)
{
	static const char longest[] =
	    "\"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._\"";
	static const char too_long[] =
	    "\"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-\"";
	const char *const bad[] = { "\"\"", too_long, "\"a b\"", "\"a/b\"", "\"\xc3\xa9\"",
		"\"a\\n\"", "\"a\\u0000\"", "\"a:\"", "null", "1", "[]", NULL };
	struct start_request request;
	char text[128];

	(void)state;
	assert_values_refused("name", bad);
	(void)snprintf(text, sizeof(text), "{\"cmd\":[\"a\"],\"name\":%s}", longest);
	request = parse(text);
	assert_int_equal(strlen(request.name), 64);
	start_done(&request);
	request = parse("{\"cmd\":[\"a\"],\"name\":\"-\"}");
	assert_string_equal(request.name, "-");
	assert_false(request.is_durable);
	start_done(&request);
}

static void
test_a_durable_session_has_its_defaults(void **state)
{
	struct start_request CLEANUP_START request =
	    parse("{\"cmd\":[\"a\"],\"durable\":{},\"name\":\"a\"}");

	(void)state;
	assert_true(request.is_durable);
	assert_int_equal(request.durable.buffer_bytes, 1048576);
	assert_int_equal(request.durable.keep_seconds, 600);
	assert_int_equal(request.durable.alone_seconds, 0);
	assert_int_equal(request.durable.when_full, START_FULL_ATTACHED);
}

static void
test_a_durable_session_needs_a_name_and_is_not_detached(void **state)
{
	(void)state;
	assert_refused("{\"cmd\":[\"a\"],\"durable\":{}}", "'durable'");
	assert_refused("{\"cmd\":[\"a\"],\"durable\":{},\"name\":\"\"}", "'name'");
	assert_refused(
	    "{\"cmd\":[\"a\"],\"durable\":{},\"name\":\"a\",\"detach\":true}", "'durable'");
	assert_refused("{\"cmd\":[\"a\"],\"durable\":true,\"name\":\"a\"}", "'durable'");
	assert_refused("{\"cmd\":[\"a\"],\"durable\":null,\"name\":\"a\"}", "'durable'");
}

static void
test_what_a_durable_session_asks_for_is_in_range(void **state)
{
	static const struct {
		const char *name;
		const char *right[2];
		const char *wrong[4];
	} members[] = {
		{ "buffer_bytes", { "65536", "16777216" }, { "65535", "16777217", "0", "-1" } },
		{ "keep_seconds", { "1", "604800" }, { "0", "604801", "-1", "1.5" } },
		{ "alone_seconds", { "0", "4294967295" }, { "4294967296", "-1", "null", "\"1\"" } },
		{ "when_full", { "\"drop\"", "\"attached\"" },
		    { "\"\"", "\"DROP\"", "1", "null" } },
	};
	static const char format[] = "{\"cmd\":[\"a\"],\"name\":\"a\",\"durable\":{\"%s\":%s}}";
	char text[256];

	(void)state;
	for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
		for (int k = 0; k < 2; k++) {
			struct start_request request;

			(void)snprintf(
			    text, sizeof(text), format, members[i].name, members[i].right[k]);
			request = parse(text);
			start_done(&request);
		}
		for (int k = 0; k < 4; k++) {
			(void)snprintf(
			    text, sizeof(text), format, members[i].name, members[i].wrong[k]);
			assert_refused(text, members[i].name);
		}
	}
}

static void
test_each_limit_counts_where_it_is_given(void **state)
{
	struct start_request CLEANUP_START request =
	    parse("{\"cmd\":[\"a\"],\"limits\":{\"pids\":1,"
		  "\"memory_bytes\":18446744073709551615,"
		  "\"core_bytes\":0}}");
	char text[256];

	(void)state;
	assert_int_equal(request.limits.have,
	    1u << START_LIMIT_PIDS | 1u << START_LIMIT_MEMORY_BYTES | 1u << START_LIMIT_CORE_BYTES);
	assert_true(request.limits.value[START_LIMIT_MEMORY_BYTES] == UINT64_MAX);
	assert_int_equal(request.limits.value[START_LIMIT_PIDS], 1);
	assert_int_equal(request.limits.value[START_LIMIT_CORE_BYTES], 0);
	for (int i = 0; i < START_LIMIT_COUNT; i++) {
		const char *const bad[] = { "null", "-1", "1.5", "\"1\"", "true", "[]",
			"18446744073709551616" };
		const char *name = start_limit_name((enum start_limit)i);

		for (size_t k = 0; k < sizeof(bad) / sizeof(bad[0]); k++) {
			(void)snprintf(text, sizeof(text),
			    "{\"cmd\":[\"a\"],\"limits\":{\"%s\":%s}}", name, bad[k]);
			assert_refused(text, name);
		}
	}
}

static void
test_a_long_member_of_the_host_does_not_break_the_error(void **state)
{
	char text[1024];
	char name[512];

	(void)state;
	memset(name, '=', sizeof(name));
	name[sizeof(name) - 1] = '\0';
	(void)snprintf(text, sizeof(text), "{\"cmd\":[\"a\"],\"env\":{\"%s\":\"\"}}", name);
	assert_refused(text, "is not a name of a variable");
}

static void
test_what_is_formatted_is_parsed_as_it_was(void **state)
{
	const char *argv[] = { "sh", "-c", "echo \"\\\n\x01\xc3\xa9\"", NULL };
	struct start_env env[] = { { "A", "1" }, { "B", "" } };
	struct start_request asked = {
		.argv = argv,
		.argc = 3,
		.env = env,
		.env_count = 2,
		.working_dir = "~",
		.user = "0:0",
		.tty = true,
		.tty_width = 132,
		.tty_height = 0,
		.timeout_seconds = UINT32_MAX,
		.stdin_open = false,
		.kill_grace_seconds = 1,
		.report = true,
		.limits = { .have = 1u << START_LIMIT_NOFILE | 1u << START_LIMIT_CORE_BYTES,
		    .value = { [START_LIMIT_NOFILE] = UINT64_MAX } },
	};
	size_t len = 0;
	char *text = start_format(&asked, &len);
	struct start_request CLEANUP_START request = parse(text);

	(void)state;
	assert_int_equal(len, strlen(text));
	free(text);
	assert_int_equal(request.argc, 3);
	assert_string_equal(request.argv[2], argv[2]);
	assert_int_equal(request.env_count, 2);
	assert_string_equal(request.env[1].name, "B");
	assert_string_equal(request.working_dir, "~");
	assert_string_equal(request.user, "0:0");
	assert_true(request.tty);
	assert_int_equal(request.tty_width, 132);
	assert_int_equal(request.tty_height, 0);
	assert_int_equal(request.timeout_seconds, UINT32_MAX);
	assert_false(request.stdin_open);
	assert_int_equal(request.kill_grace_seconds, 1);
	assert_true(request.report);
	assert_int_equal(request.limits.have, asked.limits.have);
	assert_true(request.limits.value[START_LIMIT_NOFILE] == UINT64_MAX);
	assert_int_equal(request.limits.value[START_LIMIT_CORE_BYTES], 0);
}

static void
test_defaults_are_left_out(void **state)
{
	const char *argv[] = { "a/b", NULL };
	struct start_request asked = {
		.argv = argv, .argc = 1, .tty_width = 80, .tty_height = 24, .stdin_open = true
	};
	size_t len;
	char *text = start_format(&asked, &len);

	(void)state;
	assert_string_equal(text, "{\"cmd\":[\"a/b\"]}");
	free(text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_not_given_has_its_default),
		cmocka_unit_test(test_every_member_is_read),
		cmocka_unit_test(test_cmd_must_be_there_and_have_a_program),
		cmocka_unit_test(test_wrong_types_are_refused_by_name),
		cmocka_unit_test(test_numbers_are_whole_and_in_range),
		cmocka_unit_test(test_a_nul_inside_a_string_is_refused),
		cmocka_unit_test(test_a_variable_has_a_name_without_an_equals_sign),
		cmocka_unit_test(test_of_duplicate_members_the_last_wins),
		cmocka_unit_test(test_unknown_members_are_ignored),
		cmocka_unit_test(test_white_space_may_follow_and_nothing_else),
		cmocka_unit_test(test_nesting_has_a_limit),
		cmocka_unit_test(test_detach_does_not_go_with_what_needs_a_watcher),
		cmocka_unit_test(test_a_name_is_short_and_of_a_few_characters),
		cmocka_unit_test(test_a_durable_session_has_its_defaults),
		cmocka_unit_test(test_a_durable_session_needs_a_name_and_is_not_detached),
		cmocka_unit_test(test_what_a_durable_session_asks_for_is_in_range),
		cmocka_unit_test(test_each_limit_counts_where_it_is_given),
		cmocka_unit_test(test_a_long_member_of_the_host_does_not_break_the_error),
		cmocka_unit_test(test_what_is_formatted_is_parsed_as_it_was),
		cmocka_unit_test(test_defaults_are_left_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
