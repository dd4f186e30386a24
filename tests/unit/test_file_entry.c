/*
 * What port 53 tells of files, written by the agent and read by the client.
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

#include "protocol/file_entry.h"
#include "protocol/file_entry.h"
#include "protocol/json.h"
#include "vmm-guest/protocol.h"

static const struct file_entry plain = {
	.name = "a b",
	.kind = FILE_ENTRY_FILE,
	.size = UINT64_MAX,
	.mode = 07777,
	.mtime_secs = -1,
	.mtime_nanos = 999999999,
	.uid = UINT32_MAX,
	.gid = 1,
	.symlink_target = "",
};

static void
test_an_entry_has_the_members_of_the_contract(void **state)
{
	size_t len;
	char *text = file_entry_format(&plain, &len);

	(void)state;
	assert_int_equal(len, strlen(text));
	assert_string_equal(text,
	    "{\"name\":\"a b\",\"kind\":\"file\",\"size\":18446744073709551615,\"mode\":4095,"
	    "\"mtime_secs\":-1,\"mtime_nanos\":999999999,\"uid\":4294967295,\"gid\":1,"
	    "\"symlink_target\":\"\"}");
	assert_true(len >= FILE_ENTRY_TEXT_MIN);
	free(text);
}

static void
test_the_smallest_entry_is_no_smaller_than_promised(void **state)
{
	const struct file_entry smallest = { .name = "", .kind = 1, .symlink_target = "" };
	size_t len;
	char *text = file_entry_format(&smallest, &len);

	(void)state;
	assert_true(len >= FILE_ENTRY_TEXT_MIN);
	free(text);
}

static void
test_a_type_that_a_later_agent_tells_is_read_as_one_that_is_not_known(void **state)
{
	static const struct {
		const char *text;
		enum file_entry_type type;
	} types[] = {
		{ "", FILE_ENTRY_NOT_TOLD },
		{ ",\"type\":\"block\"", FILE_ENTRY_BLOCK },
		{ ",\"type\":\"whiteout\"", FILE_ENTRY_NOT_KNOWN },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		struct file_listing CLEANUP_LISTING listing = { 0 };
		struct json_error error;
		char text[128];
		int len = snprintf(
		    text, sizeof(text), "{\"name\":\"\",\"kind\":\"other\"%s}", types[i].text);

		assert_int_equal(file_listing_parse_one(text, (size_t)len, &listing, &error), 0);
		assert_int_equal(listing.entries[0].type, types[i].type);
	}
}

static void
test_names_that_are_no_utf8_are_sent_all_the_same(void **state)
{
	const struct file_entry odd = {
		.name = "x\xff\"\n", .kind = FILE_ENTRY_SYMLINK, .symlink_target = "\xc3"
	};
	struct file_listing CLEANUP_LISTING listing = { 0 };
	struct json_error error;
	size_t len;
	char *text = file_entry_format(&odd, &len);

	(void)state;
	assert_int_equal(file_listing_parse_one(text, len, &listing, &error), 0);
	assert_string_equal(listing.entries[0].name, "x\xef\xbf\xbd\"\n");
	assert_string_equal(listing.entries[0].symlink_target, "\xef\xbf\xbd");
	assert_int_equal(listing.entries[0].kind, FILE_ENTRY_SYMLINK);
	free(text);
}

static void
test_a_tree_s_names_come_back_byte_by_byte(void **state)
{
	const struct file_tree_entry odd = {
		.entry = { .kind = FILE_ENTRY_SYMLINK, .symlink_target = "\xff/\xc3" },
		.shape = FILE_TREE_ENTRY,
		.path = "a/\xff\n",
		.ino = UINT64_MAX,
	};
	struct json_object *CLEANUP_JSON json = NULL;
	struct file_tree_entry came;
	struct json_error error;
	size_t len;
	char *text = file_tree_format(&odd, &len);

	(void)state;
	assert_int_equal(file_tree_parse(text, len, &came, &json, &error), 0);
	assert_string_equal(came.path, odd.path);
	assert_string_equal(came.entry.symlink_target, odd.entry.symlink_target);
	assert_true(came.ino == UINT64_MAX && came.nlink == 0 && came.shape == FILE_TREE_ENTRY);
	free(text);
}

static void
test_what_a_tree_s_entry_leaves_out_is_as_it_mostly_is(void **state)
{
	const struct file_tree_entry usual = {
		.entry = { .kind = FILE_ENTRY_DIR, .symlink_target = "" },
		.shape = FILE_TREE_ENTRY,
		.path = "",
		.nlink = 1,
	};
	struct json_object *CLEANUP_JSON json = NULL;
	struct file_tree_entry came;
	struct json_error error;
	size_t len;
	char *text = file_tree_format(&usual, &len);

	(void)state;
	assert_string_equal(text, "{\"path\":\"\",\"kind\":\"dir\",\"size\":0,\"mode\":0,"
				  "\"mtime_secs\":0,\"mtime_nanos\":0,\"dev\":0,\"ino\":0}");
	assert_int_equal(file_tree_parse(text, len, &came, &json, &error), 0);
	assert_true(came.nlink == 1 && came.entry.uid == 0 && came.entry.gid == 0);
	assert_string_equal(came.entry.symlink_target, "");
	free(text);
}

static void
test_a_tree_s_entry_is_refused_by_its_member(void **state)
{
	static const struct {
		const char *text;
		const char *member;
	} wrong[] = {
		{ "{}", "'path'" },
		{ "{\"path\":\"x\"}", "'kind'" },
		{ "{\"path\":\"x\",\"kind\":\"dir\",\"path_b64\":\"?\"}", "'path_b64'" },
		{ "{\"path\":\"x\",\"kind\":\"dir\",\"path_b64\":\"=\"}", "'path_b64'" },
		{ "{\"path\":\"x\",\"kind\":\"dir\",\"path_b64\":\"YQBh\"}", "'path_b64'" },
		{ "{\"path\":\"x\",\"kind\":\"dir\",\"symlink_target_b64\":\"YQBh\"}",
		    "'symlink_target_b64'" },
		{ "{\"path\":\"a\\u0000b\",\"kind\":\"dir\"}", "'path'" },
		{ "{\"error\":\"EIO\"}", "'path'" },
		{ "{\"path\":\"x\",\"error\":5}", "'error'" },
		{ "{\"hole\":-1}", "'hole'" },
		{ "{\"hole\":9223372036854775808}", "'hole'" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct json_object *json = NULL;
		struct file_tree_entry came;
		struct json_error error;

		assert_int_equal(
		    file_tree_parse(wrong[i].text, strlen(wrong[i].text), &came, &json, &error),
		    -EINVAL);
		assert_non_null(strstr(error.text, wrong[i].member));
	}
}

static void
test_a_hole_of_an_upload_is_a_number_of_bytes(void **state)
{
	static const char *const wrong[] = { "{}", "{\"hole\":-1}", "{\"hole\":\"1\"}",
		"{\"hole\":1.5}", "{\"hole\":9223372036854775808}", "{\"path\":\"x\"}", "5", "" };
	static const char right[] = "{\"hole\":9223372036854775807,\"new\":1}";
	struct json_error error;
	uint64_t hole = 7;

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		assert_int_equal(
		    file_hole_parse(wrong[i], strlen(wrong[i]), &hole, &error), -EINVAL);
		assert_string_not_equal(error.text, "");
		assert_int_equal(hole, 7);
	}
	assert_int_equal(file_hole_parse(right, strlen(right), &hole, &error), 0);
	assert_true(hole == INT64_MAX);
}

static void
test_an_empty_directory_is_an_empty_array(void **state)
{
	struct file_list list = { 0 };

	(void)state;
	assert_int_equal(file_list_finish(&list), 0);
	assert_int_equal(list.len, 2);
	assert_memory_equal(list.text, "[]", 2);
	file_list_done(&list);
	assert_null(list.text);
}

static void
test_a_list_is_read_as_it_was_made(void **state)
{
	struct file_listing CLEANUP_LISTING listing = { 0 };
	struct file_list list = { 0 };
	struct file_entry entry = plain;
	struct json_error error;

	(void)state;
	for (uint32_t i = 0; i < 1000; i++) {
		entry.gid = i;
		entry.size = INT64_MAX;
		entry.kind = (enum file_entry_kind)(i % 4);
		assert_int_equal(file_list_add(&list, &entry), 0);
	}
	assert_int_equal(file_list_finish(&list), 0);
	assert_int_equal(file_listing_parse(list.text, list.len, &listing, &error), 0);
	assert_int_equal(listing.count, 1000);
	for (uint32_t i = 0; i < 1000; i++) {
		assert_int_equal(listing.entries[i].gid, i);
		assert_int_equal(listing.entries[i].kind, i % 4);
		assert_true(listing.entries[i].size == INT64_MAX);
		assert_true(listing.entries[i].mtime_secs == -1);
	}
	file_list_done(&list);
}

static void
test_a_list_that_no_frame_holds_is_refused_and_not_cut(void **state)
{
	static char name[65536];
	const struct file_entry large = { .name = name, .symlink_target = "" };
	struct file_list list = { 0 };
	int r;

	(void)state;
	memset(name, 'n', sizeof(name) - 1);
	do
		r = file_list_add(&list, &large);
	while (r == 0);
	assert_int_equal(r, -EOVERFLOW);
	assert_true(list.len <= VMM_GUEST_FRAME_MAX);
	assert_true(list.len > VMM_GUEST_FRAME_MAX - 2 * sizeof(name));
	file_list_done(&list);
}

static void
test_each_event_is_read_as_it_was_made(void **state)
{
	const char *const kinds[] = { "created", "modified", "removed", "renamed", "unwatched" };

	(void)state;
	for (int i = 0; i < 5; i++) {
		const struct file_event event = { .kind = (enum file_event_kind)i,
			.path = "/a",
			.renamed_to = i == FILE_EVENT_RENAMED ? "/b" : "",
			.error = i == FILE_EVENT_UNWATCHED ? "EACCES" : "" };
		struct json_object *CLEANUP_JSON json = NULL;
		struct file_event read;
		struct json_error error;
		size_t len;
		char *text = file_event_format(&event, &len);

		assert_non_null(strstr(text, kinds[i]));
		assert_int_equal(file_event_parse(text, len, &read, &json, &error), 0);
		assert_int_equal(read.kind, i);
		assert_string_equal(read.path, "/a");
		assert_string_equal(read.renamed_to, event.renamed_to);
		assert_string_equal(read.error, event.error);
		/* Hosts of today have not heard of it. */
		assert_int_equal(strstr(text, "\"error\"") != NULL, i == FILE_EVENT_UNWATCHED);
		free(text);
	}
}

static void
test_what_a_guest_makes_up_is_refused(void **state)
{
	const char *const bad[] = { "{}", "[1]", "[{}]", "[{\"name\":1}]", "[null]", "[", "",
		"[{\"name\":\"a\"}]", "[{\"kind\":\"file\"}]",
		"[{\"name\":\"a\\u0000b\",\"kind\":\"file\"}]",
		"[{\"name\":\"a\",\"kind\":\"file\",\"size\":-1}]",
		"[{\"name\":\"a\",\"kind\":\"file\",\"mtime_nanos\":1000000000}]" };
	struct file_listing listing = { .count = 77 };
	struct json_error error;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (file_listing_parse(bad[i], strlen(bad[i]), &listing, &error) != -EINVAL)
			fail_msg("accepted: %s", bad[i]);
		assert_string_not_equal(error.text, "");
		assert_int_equal(listing.count, 77);
	}
}

static void
test_a_kind_of_a_later_agent_is_another(void **state)
{
	struct file_listing CLEANUP_LISTING listing = { 0 };
	const char *text = "[{\"name\":\"a\",\"kind\":\"door\",\"new\":1}]";
	struct json_error error;

	(void)state;
	assert_int_equal(file_listing_parse(text, strlen(text), &listing, &error), 0);
	assert_int_equal(listing.entries[0].kind, FILE_ENTRY_OTHER);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_an_entry_has_the_members_of_the_contract),
		cmocka_unit_test(test_the_smallest_entry_is_no_smaller_than_promised),
		cmocka_unit_test(test_a_tree_s_names_come_back_byte_by_byte),
		cmocka_unit_test(test_what_a_tree_s_entry_leaves_out_is_as_it_mostly_is),
		cmocka_unit_test(test_a_tree_s_entry_is_refused_by_its_member),
		cmocka_unit_test(
		    test_a_type_that_a_later_agent_tells_is_read_as_one_that_is_not_known),
		cmocka_unit_test(test_names_that_are_no_utf8_are_sent_all_the_same),
		cmocka_unit_test(test_a_hole_of_an_upload_is_a_number_of_bytes),
		cmocka_unit_test(test_an_empty_directory_is_an_empty_array),
		cmocka_unit_test(test_a_list_is_read_as_it_was_made),
		cmocka_unit_test(test_a_list_that_no_frame_holds_is_refused_and_not_cut),
		cmocka_unit_test(test_each_event_is_read_as_it_was_made),
		cmocka_unit_test(test_what_a_guest_makes_up_is_refused),
		cmocka_unit_test(test_a_kind_of_a_later_agent_is_another),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
