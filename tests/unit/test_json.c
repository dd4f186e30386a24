/*
 * Objects as the contract takes them, and the errors that name a member.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "protocol/json.h"

#define NUMBER_MAX 1000

static struct json_object *
parse(const char *text)
{
	struct json_error error;
	struct json_object *object = json_parse_object(text, strlen(text), &error);

	if (object == NULL)
		fail_msg("%s: %s", text, error.text);
	assert_string_equal(error.text, "");
	return object;
}

static void
assert_refused(const char *text, size_t len)
{
	struct json_error error = { .text = "" };

	if (json_parse_object(text, len, &error) != NULL)
		fail_msg("accepted: %s", text);
	assert_memory_equal(error.text, "JSON: ", 6);
}

/* Asks for member m of TEXT as a number up to NUMBER_MAX. */
static uint64_t
number_of(const char *text, struct json_error *error)
{
	struct json_object *CLEANUP_JSON object = parse(text);

	error->text[0] = '\0';
	return json_get_u64(object, "m", NUMBER_MAX, 7, error);
}

static int64_t
signed_of(const char *text, struct json_error *error)
{
	struct json_object *CLEANUP_JSON object = parse(text);

	error->text[0] = '\0';
	return json_get_i64(object, "m", 7, error);
}

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
	const char *const bad[] = { "{\"m\":-1}", "{\"m\":1001}", "{\"m\":1.0}", "{\"m\":1e2}",
		"{\"m\":0.5}", "{\"m\":null}", "{\"m\":\"1\"}", "{\"m\":true}", "{\"m\":[1]}",
		"{\"m\":{}}", "{\"m\":18446744073709551615}", "{\"m\":9223372036854775808}",
		"{\"m\":-9223372036854775808}" };
	struct json_error error;

	(void)state;
	assert_int_equal(number_of("{\"m\":0}", &error), 0);
	assert_int_equal(number_of("{\"m\":1000}", &error), 1000);
	assert_int_equal(number_of("{}", &error), 7);
	assert_string_equal(error.text, "");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(number_of(bad[i], &error), 7);
		if (strstr(error.text, "'m'") == NULL)
			fail_msg("%s: '%s'", bad[i], error.text);
	}
}

static void
test_the_largest_numbers_are_kept_exactly(void **state)
{
	struct json_object *CLEANUP_JSON object =
	    parse("{\"u\":18446744073709551615,\"h\":9223372036854775808}");
	struct json_error error = { .text = "" };

	(void)state;
	assert_true(json_get_u64(object, "u", UINT64_MAX, 0, &error) == UINT64_MAX);
	assert_true(json_get_u64(object, "h", UINT64_MAX, 0, &error) == 1ull << 63);
	assert_string_equal(error.text, "");
	assert_true(signed_of("{\"m\":9223372036854775807}", &error) == INT64_MAX);
	assert_true(signed_of("{\"m\":-9223372036854775808}", &error) == INT64_MIN);
	assert_string_equal(error.text, "");
}

static void
test_a_number_that_a_sign_leaves_no_room_for_is_refused(void **state)
{
	const char *const bad[] = { "{\"m\":9223372036854775808}", "{\"m\":18446744073709551615}",
		"{\"m\":1.5}", "{\"m\":null}", "{\"m\":\"1\"}" };
	struct json_error error;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_true(signed_of(bad[i], &error) == 7);
		if (strstr(error.text, "'m'") == NULL)
			fail_msg("%s: '%s'", bad[i], error.text);
	}
}

static void
test_a_string_has_no_nul_inside(void **state)
{
	struct json_object *CLEANUP_JSON object =
	    parse("{\"good\":\"a\\u00e9\\n\",\"bad\":\"a\\u0000b\",\"end\":\"\\u0000\"}");
	struct json_error error = { .text = "" };

	(void)state;
	assert_string_equal(json_get_string(object, "good", NULL, &error), "a\xc3\xa9\n");
	assert_string_equal(json_get_string(object, "none", "x", &error), "x");
	assert_string_equal(error.text, "");
	assert_null(json_get_string(object, "bad", "x", &error));
	assert_string_equal(error.text, "member 'bad': a NUL character is not allowed");
	error.text[0] = '\0';
	assert_null(json_get_string(object, "end", "x", &error));
	assert_non_null(strstr(error.text, "'end'"));
}

static void
test_a_member_that_is_needed_is_missed_by_name(void **state)
{
	struct json_object *CLEANUP_JSON object = parse("{\"null\":null,\"n\":1}");
	struct json_error error = { .text = "" };

	(void)state;
	assert_null(json_need_string(object, "path", &error));
	assert_string_equal(error.text, "member 'path' is missing");
	error.text[0] = '\0';
	assert_true(json_has(object, "null"));
	assert_null(json_need_string(object, "null", &error));
	assert_string_equal(error.text, "member 'null': a string is needed");
	error.text[0] = '\0';
	assert_null(json_need_string(object, "n", &error));
	assert_non_null(strstr(error.text, "'n'"));
}

static void
test_a_flag_is_true_or_false_and_not_1(void **state)
{
	struct json_object *CLEANUP_JSON object =
	    parse("{\"t\":true,\"f\":false,\"one\":1,\"text\":\"true\",\"null\":null}");
	const char *const bad[] = { "one", "text", "null" };
	struct json_error error = { .text = "" };

	(void)state;
	assert_true(json_get_bool(object, "t", false, &error));
	assert_false(json_get_bool(object, "f", true, &error));
	assert_true(json_get_bool(object, "none", true, &error));
	assert_string_equal(error.text, "");
	for (size_t i = 0; i < 3; i++) {
		error.text[0] = '\0';
		(void)json_get_bool(object, bad[i], false, &error);
		assert_non_null(strstr(error.text, bad[i]));
	}
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
		struct json_object *object;
		char *text = repeat(pieces[i], 4094, &len);

		object = json_parse_object(text, len, &error);
		assert_non_null(object);
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
	struct json_object *object;
	size_t len;
	char *text = repeat("\"{[\\\"{[\\\\\"", 20000, &len);

	(void)state;
	object = json_parse_object(text, len, &error);
	assert_string_equal(error.text, "");
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
		cmocka_unit_test(test_a_number_that_a_sign_leaves_no_room_for_is_refused),
		cmocka_unit_test(test_a_string_has_no_nul_inside),
		cmocka_unit_test(test_a_member_that_is_needed_is_missed_by_name),
		cmocka_unit_test(test_a_flag_is_true_or_false_and_not_1),
		cmocka_unit_test(test_the_first_error_stands),
		cmocka_unit_test(test_an_error_is_cut_to_its_size),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
