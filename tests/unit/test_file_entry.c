/*
 * Entries, lists and events of port 53 as JSON.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "protocol/file_entry.h"
#include "protocol/file_listing.h"
#include "protocol/json.h"
#include "vmm-guest/protocol.h"

static const struct file_entry plain = {
	.name = "x",
	.kind = FILE_ENTRY_FILE,
	.size = UINT64_MAX,
	.mode = 07777,
	.mtime_secs = -2,
	.mtime_nanos = 999999999,
	.uid = UINT32_MAX - 1,
	.gid = 7,
	.symlink_target = "",
};

static void
assert_entry(const struct file_entry *entry, const char *expected)
{
	size_t len = 0;
	char *text = file_entry_format(entry, &len);

	assert_non_null(text);
	assert_string_equal(text, expected);
	assert_int_equal(len, strlen(expected));
	free(text);
}

static void
test_an_entry_has_nine_members_in_the_contract_s_order(void **state)
{
	(void)state;
	assert_entry(&plain,
	    "{\"name\":\"x\",\"kind\":\"file\",\"size\":18446744073709551615,\"mode\":4095,"
	    "\"mtime_secs\":-2,\"mtime_nanos\":999999999,\"uid\":4294967294,\"gid\":7,"
	    "\"symlink_target\":\"\"}");
}

static void
test_each_kind_has_its_word(void **state)
{
	static const struct {
		enum file_entry_kind kind;
		const char *word;
	} cases[] = { { FILE_ENTRY_FILE, "\"file\"" }, { FILE_ENTRY_DIR, "\"dir\"" },
		{ FILE_ENTRY_SYMLINK, "\"symlink\"" }, { FILE_ENTRY_OTHER, "\"other\"" } };

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct file_entry entry = plain;
		size_t len;
		char *text;

		entry.kind = cases[i].kind;
		text = file_entry_format(&entry, &len);
		assert_non_null(strstr(text, cases[i].word));
		free(text);
	}
}

static void
test_the_smallest_entry_is_not_smaller_than_the_bound_says(void **state)
{
	const struct file_entry smallest = {
		.name = "x", .kind = FILE_ENTRY_DIR, .symlink_target = ""
	};
	size_t len;
	char *text = file_entry_format(&smallest, &len);

	(void)state;
	assert_true(len >= FILE_ENTRY_TEXT_MIN);
	free(text);
}

static void
test_names_and_targets_are_made_utf_8_byte_by_byte(void **state)
{
	struct file_entry entry = { .name = "\xff\xfe"
					    "a",
		.kind = FILE_ENTRY_SYMLINK,
		.symlink_target = "\xc3" };
	size_t len;
	char *text = file_entry_format(&entry, &len);

	(void)state;
	assert_non_null(strstr(text, "\"\xef\xbf\xbd\xef\xbf\xbd"
				     "a\""));
	assert_non_null(strstr(text, "\"symlink_target\":\"\xef\xbf\xbd\""));
	free(text);
}

static void
test_an_empty_list_is_an_empty_array(void **state)
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
test_a_list_is_read_back_as_it_was_made(void **state)
{
	struct file_listing CLEANUP_LISTING listing = { 0 };
	struct json_error error = { .text = "" };
	struct file_list list = { 0 };
	char name[32];

	(void)state;
	for (int i = 0; i < 1000; i++) {
		struct file_entry entry = plain;

		(void)snprintf(name, sizeof(name), "\"%d\n", i);
		entry.name = name;
		entry.size = (uint64_t)i;
		assert_int_equal(file_list_add(&list, &entry), 0);
	}
	assert_int_equal(file_list_finish(&list), 0);
	assert_int_equal(file_listing_parse(list.text, list.len, &listing, &error), 0);
	file_list_done(&list);
	assert_int_equal(listing.count, 1000);
	for (int i = 0; i < 1000; i++) {
		(void)snprintf(name, sizeof(name), "\"%d\n", i);
		assert_string_equal(listing.entries[i].name, name);
		assert_int_equal(listing.entries[i].size, i);
		assert_int_equal(listing.entries[i].mode, 07777);
	}
}

static void
test_a_list_that_would_not_fit_into_a_frame_is_refused(void **state)
{
	static char target[1024 * 1024];
	struct file_entry entry = plain;
	struct file_list list = { 0 };
	int r = 0;
	int count = 0;

	(void)state;
	memset(target, 't', sizeof(target) - 1);
	entry.symlink_target = target;
	while ((r = file_list_add(&list, &entry)) == 0)
		count++;
	assert_int_equal(r, -EOVERFLOW);
	assert_int_equal(count, 15);
	assert_true(list.len <= VMM_GUEST_FRAME_MAX);
	file_list_done(&list);
}

static void
test_an_event_has_three_members(void **state)
{
	const struct file_event event = {
		.kind = FILE_EVENT_RENAMED, .path = "/a", .renamed_to = "/b\xff"
	};
	size_t len;
	char *text = file_event_format(&event, &len);

	(void)state;
	assert_string_equal(
	    text, "{\"kind\":\"renamed\",\"path\":\"/a\",\"renamed_to\":\"/b\xef\xbf\xbd\"}");
	assert_int_equal(len, strlen(text));
	free(text);
}

static void
test_each_kind_of_event_has_its_word(void **state)
{
	static const char *const words[] = { "created", "modified", "removed", "renamed" };

	(void)state;
	for (int kind = FILE_EVENT_CREATED; kind <= FILE_EVENT_RENAMED; kind++) {
		const struct file_event event = {
			.kind = (enum file_event_kind)kind, .path = "/", .renamed_to = ""
		};
		size_t len;
		char *text = file_event_format(&event, &len);

		assert_non_null(strstr(text, words[kind]));
		free(text);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_an_entry_has_nine_members_in_the_contract_s_order),
		cmocka_unit_test(test_each_kind_has_its_word),
		cmocka_unit_test(test_the_smallest_entry_is_not_smaller_than_the_bound_says),
		cmocka_unit_test(test_names_and_targets_are_made_utf_8_byte_by_byte),
		cmocka_unit_test(test_an_empty_list_is_an_empty_array),
		cmocka_unit_test(test_a_list_is_read_back_as_it_was_made),
		cmocka_unit_test(test_a_list_that_would_not_fit_into_a_frame_is_refused),
		cmocka_unit_test(test_an_event_has_three_members),
		cmocka_unit_test(test_each_kind_of_event_has_its_word),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
