/*
 * Objects as the contract takes them, and the errors that name a member.
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

#include "protocol/message.h"

/* A member of each kind of value. */
struct members {
	uint64_t number;
	int64_t with_sign;
	uint64_t large;
	const char *text;
	const char *needed;
	bool flag;
};

#define AT(member) MESSAGE_AT(struct members, member)

static const struct message_member number_table[] = {
	{ "m", .kind = MESSAGE_UNSIGNED, AT(number), .most = MESSAGE_SIGNALS, .initial = 7 },
};
static const struct message_member signed_table[] = {
	{ "m", .kind = MESSAGE_SIGNED, AT(with_sign), .initial = 7 },
};
static const struct message_member large_table[] = {
	{ "m", .kind = MESSAGE_UNSIGNED, AT(large) },
};
static const struct message_member text_table[] = {
	{ "m", .kind = MESSAGE_TEXT, AT(text), .text = "x" },
};
static const struct message_member needed_table[] = {
	{ "m", .kind = MESSAGE_TEXT, AT(needed), .flags = MESSAGE_NEEDED },
};
static const struct message_member flag_table[] = {
	{ "m", .kind = MESSAGE_FLAG, AT(flag), .initial = true },
};

static const struct message number_message = MESSAGE_OF(number_table);
static const struct message signed_message = MESSAGE_OF(signed_table);
static const struct message large_message = MESSAGE_OF(large_table);
static const struct message text_message = MESSAGE_OF(text_table);
static const struct message needed_message = MESSAGE_OF(needed_table);
static const struct message flag_message = MESSAGE_OF(flag_table);

static struct json_object *
parse(const char *text)
{
	struct json_error error;
	struct json_object *object = NULL;

	if (json_parse_object(text, strlen(text), &object, &error) != 0)
		fail_msg("%s: %s", text, error.text);
	assert_string_equal(error.text, "");
	return object;
}

static void
assert_refused(const char *text, size_t len)
{
	struct json_object *object = NULL;
	struct json_error error;

	if (json_parse_object(text, len, &object, &error) != -EINVAL)
		fail_msg("accepted: %s", text);
	assert_null(object);
	assert_int_equal(error.code, -EINVAL);
	assert_memory_equal(error.text, "JSON: ", 6);
}

/* Reads TEXT by MESSAGE; true, or false with ERROR that names the member m. */
static bool
reads(const struct message *message, const char *text, struct members *ret)
{
	struct json_error error;
	int r;

	*ret = (struct members){ 0 };
	r = message_parse(message, text, strlen(text), ret, NULL, &error);
	assert_int_equal(r, error.code);
	if (r == 0)
		assert_string_equal(error.text, "");
	else if (strstr(error.text, "'m'") == NULL)
		fail_msg("%s: '%s'", text, error.text);
	return r == 0;
}

static void
assert_none_reads(const struct message *message, const char *const *texts, size_t count)
{
	struct members members;

	for (size_t i = 0; i < count; i++) {
		if (reads(message, texts[i], &members))
			fail_msg("accepted: %s", texts[i]);
	}
}

#define ASSERT_NONE_READS(message, texts)                                                          \
	assert_none_reads(&(message), texts, sizeof(texts) / sizeof((texts)[0]))

static void
test_an_object_with_white_space_around_it_is_taken(void **state)
{
	const char *const good[] = { "{}", " {}", "\t\r\n{ } \t\r\n", "{\"a\":{\"b\":[1,null]}}" };

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		struct json_object *CLEANUP_JSON object = parse(good[i]);

		assert_non_null(object);
	}
}

static void
test_what_is_no_object_is_refused(void **state)
{
	const char *const bad[] = { "", " ", "[]", "null", "1", "\"{}\"", "true", "{", "{\"a\"",
		"{\"a\":", "{\"a\":1", "{\"a\":1,", "{\"a\":1,}", "{a:1}", "{\"a\" 1}",
		"{\"a\":nul}", "}" };

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_refused(bad[i], strlen(bad[i]));
}

static void
test_anything_after_the_object_is_refused(void **state)
{
	const char *const bad[] = { "{}x", "{}{}", "{} {}", "{},", "{}]", "{}/**/", "{}\v" };

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_refused(bad[i], strlen(bad[i]));
	assert_refused("{}\0", 3);
	assert_refused("{}\0{}", 5);
}

static void
test_text_that_is_not_utf8_is_refused(void **state)
{
	const char *const bad[] = { "{\"a\":\"\xff\"}", "{\"\xc3\":1}", "{\"a\":\"\xc3\"}" };

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_refused(bad[i], strlen(bad[i]));
}

static void
test_deep_nesting_is_refused_and_harmless(void **state)
{
	static char text[200000];

	(void)state;
	memset(text, '[', sizeof(text));
	memcpy(text, "{\"a\":", 5);
	assert_refused(text, sizeof(text));
	for (size_t i = 0; i + 5 <= sizeof(text); i += 5)
		memcpy(text + i, "{\"a\":", 5);
	assert_refused(text, sizeof(text));
}

static void
test_no_byte_is_read_behind_the_text(void **state)
{
	const char *text = "{\"a\":[1,\"x\\u00e9\",{\"b\":-1.5e3}]}";

	(void)state;
	/* Each beginning in a block of its own: the sanitizers see the rest. */
	for (size_t len = 0; len < strlen(text); len++) {
		char *copy = malloc(len + (len == 0));

		assert_non_null(copy);
		memcpy(copy, text, len);
		assert_refused(copy, len);
		free(copy);
	}
}

static void
test_a_number_is_whole_and_within_its_range(void **state)
{
	const char *const bad[] = { "{\"m\":-1}", "{\"m\":65}", "{\"m\":1.0}", "{\"m\":1e2}",
		"{\"m\":0.5}", "{\"m\":null}", "{\"m\":\"1\"}", "{\"m\":true}", "{\"m\":[1]}",
		"{\"m\":{}}", "{\"m\":18446744073709551615}", "{\"m\":9223372036854775808}",
		"{\"m\":-9223372036854775808}", "{\"m\":-0.0}", "{\"m\":1e400}", "{\"m\":-1e400}" };
	struct members members;

	(void)state;
	assert_true(reads(&number_message, "{\"m\":0}", &members));
	assert_int_equal(members.number, 0);
	assert_true(reads(&number_message, "{\"m\":-0}", &members));
	assert_int_equal(members.number, 0);
	assert_true(reads(&number_message, "{\"m\":64}", &members));
	assert_int_equal(members.number, 64);
	assert_true(reads(&number_message, "{}", &members));
	assert_int_equal(members.number, 7);
	ASSERT_NONE_READS(number_message, bad);
}

static void
test_the_largest_numbers_are_kept_exactly(void **state)
{
	struct members members;

	(void)state;
	assert_true(reads(&large_message, "{\"m\":18446744073709551615}", &members));
	assert_true(members.large == UINT64_MAX);
	assert_true(reads(&large_message, "{\"m\":9223372036854775808}", &members));
	assert_true(members.large == 1ull << 63);
	assert_true(reads(&signed_message, "{\"m\":9223372036854775807}", &members));
	assert_true(members.with_sign == INT64_MAX);
	assert_true(reads(&signed_message, "{\"m\":-9223372036854775808}", &members));
	assert_true(members.with_sign == INT64_MIN);
	assert_true(reads(&signed_message, "{\"m\":-000009223372036854775808}", &members));
	assert_true(members.with_sign == INT64_MIN);
}

static void
test_a_number_that_64_bits_do_not_hold_is_refused_and_not_made_the_nearest(void **state)
{
	const char *const bad[] = { "{\"m\":18446744073709551616}", "{\"m\":20000000000000000000}",
		"{\"m\":99999999999999999999999999999999999999}", "{\"m\":-9223372036854775809}",
		"{\"m\":-18446744073709551615}", "{\"m\":-18446744073709551616}",
		"{\"m\":-0009223372036854775809}", "{\"m\" : 18446744073709551616 }",
		"{\"m\":[\"a\",18446744073709551616]}",
		"{\"a\":1,\"m\":18446744073709551616,\"b\":2}",
		"{\"m\":5,\"m\":18446744073709551616,\"m\":5}",
		"{\"o\":{\"m\":18446744073709551616}}" };

	(void)state;
	ASSERT_NONE_READS(large_message, bad);
	ASSERT_NONE_READS(signed_message, bad);
	ASSERT_NONE_READS(number_message, bad);
}

static void
test_a_number_that_a_sign_leaves_no_room_for_is_refused(void **state)
{
	const char *const bad[] = { "{\"m\":9223372036854775808}", "{\"m\":18446744073709551615}",
		"{\"m\":1.5}", "{\"m\":null}", "{\"m\":\"1\"}" };

	(void)state;
	ASSERT_NONE_READS(signed_message, bad);
}

static void
test_a_string_has_no_nul_inside(void **state)
{
	const char *const bad[] = { "{\"m\":\"a\\u0000b\"}", "{\"m\":\"\\u0000\"}" };
	struct json_object *CLEANUP_JSON json = NULL;
	struct members members = { 0 };
	const char *text = "{\"m\":\"a\\u00e9\\n\"}";
	struct json_error error;

	(void)state;
	assert_int_equal(
	    message_parse(&text_message, text, strlen(text), &members, &json, &error), 0);
	assert_string_equal(members.text, "a\xc3\xa9\n");
	assert_true(reads(&text_message, "{}", &members));
	assert_string_equal(members.text, "x");
	ASSERT_NONE_READS(text_message, bad);
}

static void
test_a_member_that_is_needed_is_missed_by_name(void **state)
{
	const char *const bad[] = { "{}", "{\"M\":\"\"}", "{\"m\":null}", "{\"m\":1}" };

	(void)state;
	ASSERT_NONE_READS(needed_message, bad);
}

static void
test_a_flag_is_true_or_false_and_not_1(void **state)
{
	const char *const bad[] = { "{\"m\":1}", "{\"m\":\"true\"}", "{\"m\":null}" };
	struct members members;

	(void)state;
	assert_true(reads(&flag_message, "{\"m\":true}", &members) && members.flag);
	assert_true(reads(&flag_message, "{\"m\":false}", &members) && !members.flag);
	assert_true(reads(&flag_message, "{}", &members) && members.flag);
	ASSERT_NONE_READS(flag_message, bad);
}

static void
test_of_members_that_are_there_twice_the_last_counts(void **state)
{
	struct members members;

	(void)state;
	assert_true(reads(&number_message, "{\"m\":1,\"m\":\"x\",\"m\":2}", &members));
	assert_int_equal(members.number, 2);
}

static void
test_a_name_in_single_quotes_hides_nothing(void **state)
{
	struct members members;

	(void)state;
	/* json-c of before 0.17 takes it; whoever counts must see the same strings. */
	(void)reads(&number_message, "{'a\"':\"}]\",'m':1}", &members);
	assert_refused("{\"a\":'b'}", 9);
}

static void
test_the_first_error_stands(void **state)
{
	struct json_error error = { .text = "" };

	(void)state;
	json_fail(&error, "first %d", 1);
	json_fail(&error, "second");
	assert_string_equal(error.text, "first 1");
}

static void
test_an_error_is_cut_to_its_size(void **state)
{
	struct json_error error = { .text = "" };
	char name[2 * JSON_ERROR_MAX];

	(void)state;
	memset(name, 'n', sizeof(name));
	name[sizeof(name) - 1] = '\0';
	json_fail(&error, "%s", name);
	assert_int_equal(strlen(error.text), JSON_ERROR_MAX - 1);
}

/* {"m":[PIECE,PIECE,…]} */
static char *
repeat(const char *piece, size_t count, size_t *ret_len)
{
	size_t piece_len = strlen(piece);
	char *text = malloc(16 + count * (piece_len + 1));
	char *end = stpcpy(text, "{\"m\":[");

	for (size_t i = 0; i < count; i++) {
		end = stpcpy(end, piece);
		*end++ = i + 1 < count ? ',' : ']';
	}
	*end++ = '}';
	*ret_len = (size_t)(end - text);
	return text;
}

static void
test_more_objects_and_arrays_than_a_request_needs_are_refused(void **state)
{
	static const char *const pieces[] = { "{}", "[]" };
	struct json_error error;
	size_t len;

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct json_object *object = NULL;
		char *text = repeat(pieces[i], 4094, &len);

		assert_int_equal(json_parse_object(text, len, &object, &error), 0);
		json_put(&object);
		free(text);
		text = repeat(pieces[i], 4095, &len);
		assert_refused(text, len);
		free(text);
	}
}

static void
test_braces_in_a_string_are_text(void **state)
{
	struct json_error error;
	struct json_object *object = NULL;
	size_t len;
	char *text = repeat("\"{[\\\"{[\\\\\"", 20000, &len);

	(void)state;
	assert_int_equal(json_parse_object(text, len, &object, &error), 0);
	json_put(&object);
	free(text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_more_objects_and_arrays_than_a_request_needs_are_refused),
		cmocka_unit_test(test_braces_in_a_string_are_text),
		cmocka_unit_test(test_an_object_with_white_space_around_it_is_taken),
		cmocka_unit_test(test_what_is_no_object_is_refused),
		cmocka_unit_test(test_anything_after_the_object_is_refused),
		cmocka_unit_test(test_text_that_is_not_utf8_is_refused),
		cmocka_unit_test(test_deep_nesting_is_refused_and_harmless),
		cmocka_unit_test(test_no_byte_is_read_behind_the_text),
		cmocka_unit_test(test_a_number_is_whole_and_within_its_range),
		cmocka_unit_test(test_the_largest_numbers_are_kept_exactly),
		cmocka_unit_test(
		    test_a_number_that_64_bits_do_not_hold_is_refused_and_not_made_the_nearest),
		cmocka_unit_test(test_of_members_that_are_there_twice_the_last_counts),
		cmocka_unit_test(test_a_name_in_single_quotes_hides_nothing),
		cmocka_unit_test(test_a_number_that_a_sign_leaves_no_room_for_is_refused),
		cmocka_unit_test(test_a_string_has_no_nul_inside),
		cmocka_unit_test(test_a_member_that_is_needed_is_missed_by_name),
		cmocka_unit_test(test_a_flag_is_true_or_false_and_not_1),
		cmocka_unit_test(test_the_first_error_stands),
		cmocka_unit_test(test_an_error_is_cut_to_its_size),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
