/*
 * The JSON of port 53's requests, both ways.
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

#include "protocol/file_request.h"
#include "vmm-guest/protocol.h"

#define CLEANUP_REQUEST __attribute__((cleanup(file_request_done)))

static struct file_request
parse(uint8_t type, const char *text)
{
	struct file_request request = { 0 };
	struct json_error error;

	if (file_request_parse(type, text, strlen(text), &request, &error) != 0)
		fail_msg("%s: %s", text, error.text);
	return request;
}

static void
assert_refused(uint8_t type, const char *text, const char *word)
{
	struct file_request request = { .mode = 77 };
	struct json_error error;

	if (file_request_parse(type, text, strlen(text), &request, &error) != -EINVAL)
		fail_msg("accepted: %s", text);
	if (strstr(error.text, word) == NULL)
		fail_msg("%s: '%s' does not say '%s'", text, error.text, word);
	assert_int_equal(request.mode, 77);
}

static void
test_a_write_has_a_path_and_a_mode(void **state)
{
	struct file_request CLEANUP_REQUEST h1 =
	    parse(VMM_GUEST_FILE_WRITE_REQ, "{\"path\":\"/x\",\"mode\":420}");
	struct file_request CLEANUP_REQUEST h3 = parse(VMM_GUEST_FILE_WRITE_REQ,
	    "{\"path\":\"\",\"mode\":4294967295,\"fsync\":true,\"user\":\"u\"}");

	(void)state;
	assert_string_equal(h1.path, "/x");
	assert_int_equal(h1.mode, 0644);
	assert_false(h1.fsync);
	assert_string_equal(h1.user, "");
	assert_string_equal(h3.path, "");
	assert_int_equal(h3.mode, UINT32_MAX);
	assert_true(h3.fsync);
	assert_string_equal(h3.user, "u");
}

static void
test_a_read_may_have_a_range(void **state)
{
	struct file_request CLEANUP_REQUEST whole =
	    parse(VMM_GUEST_FILE_READ_REQ, "{\"path\":\"/x\"}");
	struct file_request CLEANUP_REQUEST part = parse(VMM_GUEST_FILE_READ_REQ,
	    "{\"path\":\"/x\",\"offset\":18446744073709551615,\"length\":0}");

	(void)state;
	assert_true(whole.offset == 0);
	assert_true(whole.length == UINT64_MAX);
	assert_true(part.offset == UINT64_MAX);
	assert_true(part.length == 0);
}

static void
test_a_watch_may_know_of_gaps_and_have_a_user(void **state)
{
	struct file_request CLEANUP_REQUEST h2 =
	    parse(VMM_GUEST_FILE_WATCH_REQ, "{\"path\":\"/x\",\"recursive\":true}");
	struct file_request CLEANUP_REQUEST h3 =
	    parse(VMM_GUEST_FILE_WATCH_REQ, "{\"path\":\"/x\",\"gaps\":true,\"user\":\"u\"}");

	(void)state;
	assert_true(h2.recursive);
	assert_false(h2.gaps);
	assert_string_equal(h2.user, "");
	assert_false(h3.recursive);
	assert_true(h3.gaps);
	assert_string_equal(h3.user, "u");
	assert_refused(VMM_GUEST_FILE_WATCH_REQ, "{\"path\":\"/x\",\"gaps\":1}", "'gaps'");
}

static bool
says_more(uint8_t type, const char *text)
{
	struct file_request CLEANUP_REQUEST request = { 0 };
	struct json_error error;

	(void)file_request_parse(type, text, strlen(text), &request, &error);
	return request.more;
}

static void
test_more_is_read_of_a_request_that_is_wrong_otherwise(void **state)
{
	(void)state;
	assert_true(says_more(VMM_GUEST_FILE_STAT_REQ, "{\"path\":\"/x\",\"more\":true}"));
	assert_false(says_more(VMM_GUEST_FILE_STAT_REQ, "{\"path\":\"/x\",\"more\":false}"));
	assert_false(says_more(VMM_GUEST_FILE_STAT_REQ, "{\"path\":\"/x\"}"));
	assert_true(says_more(VMM_GUEST_FILE_STAT_REQ, "{\"more\":true}"));
	assert_true(says_more(
	    VMM_GUEST_FILE_WRITE_REQ, "{\"path\":\"/\",\"more\":true,\"mtime_nanos\":1}"));
	assert_false(says_more(VMM_GUEST_FILE_STAT_REQ, "{\"path\":\"/x\",\"more\":1}"));
	assert_false(says_more(VMM_GUEST_FILE_STAT_REQ, "{\"path\":\"/x\",\"more\":true"));
	assert_false(says_more(VMM_GUEST_FILE_WATCH_REQ, "{\"path\":\"/x\",\"more\":true}"));
}

static void
test_a_move_has_from_and_to_and_no_path(void **state)
{
	struct file_request CLEANUP_REQUEST move =
	    parse(VMM_GUEST_FILE_MOVE_REQ, "{\"from\":\"/a\",\"to\":\"/b\"}");

	(void)state;
	assert_string_equal(move.path, "/a");
	assert_string_equal(move.to, "/b");
	assert_refused(VMM_GUEST_FILE_MOVE_REQ, "{\"path\":\"/a\",\"to\":\"/b\"}", "'from'");
	assert_refused(VMM_GUEST_FILE_MOVE_REQ, "{\"from\":\"/a\"}", "'to'");
}

static void
test_a_link_has_from_and_to_and_no_path(void **state)
{
	struct file_request CLEANUP_REQUEST link =
	    parse(VMM_GUEST_FILE_LINK_REQ, "{\"from\":\"/a\",\"to\":\"/b\",\"user\":\"u\"}");

	(void)state;
	assert_string_equal(link.path, "/a");
	assert_string_equal(link.to, "/b");
	assert_string_equal(link.user, "u");
	assert_refused(VMM_GUEST_FILE_LINK_REQ, "{\"path\":\"/a\",\"to\":\"/b\"}", "'from'");
	assert_refused(VMM_GUEST_FILE_LINK_REQ, "{\"from\":\"/a\"}", "'to'");
}

static void
test_every_request_needs_its_path(void **state)
{
	const uint8_t types[] = { VMM_GUEST_FILE_WRITE_REQ, VMM_GUEST_FILE_READ_REQ,
		VMM_GUEST_FILE_STAT_REQ, VMM_GUEST_FILE_LIST_REQ, VMM_GUEST_FILE_MKDIR_REQ,
		VMM_GUEST_FILE_REMOVE_REQ, VMM_GUEST_FILE_WATCH_REQ };

	(void)state;
	for (size_t i = 0; i < sizeof(types); i++) {
		struct file_request CLEANUP_REQUEST request =
		    parse(types[i], "{\"path\":\"p\",\"unknown\":null} \n");
		struct file_request CLEANUP_REQUEST of_user =
		    parse(types[i], "{\"path\":\"p\",\"user\":\"u\"}");

		assert_string_equal(request.path, "p");
		assert_string_equal(request.user, "");
		assert_string_equal(of_user.user, "u");
		assert_refused(types[i], "{\"path\":\"/\",\"user\":0}", "'user'");
		assert_refused(types[i], "{}", "'path' is missing");
		assert_refused(types[i], "{\"path\":null}", "'path'");
		assert_refused(types[i], "{\"path\":\"/\\u0000\"}", "'path'");
		assert_refused(types[i], "{\"path\":\"/\"} x", "JSON");
		assert_refused(types[i], "\"/\"", "JSON");
	}
}

static void
test_wrong_members_are_refused_by_name(void **state)
{
	const uint8_t write = VMM_GUEST_FILE_WRITE_REQ;
	const uint8_t read = VMM_GUEST_FILE_READ_REQ;
	const uint8_t drop = VMM_GUEST_FILE_REMOVE_REQ;

	(void)state;
	assert_refused(write, "{\"path\":\"/\",\"mode\":-1}", "'mode'");
	assert_refused(write, "{\"path\":\"/\",\"mode\":4294967296}", "'mode'");
	assert_refused(write, "{\"path\":\"/\",\"mode\":\"0644\"}", "'mode'");
	assert_refused(write, "{\"path\":\"/\",\"fsync\":1}", "'fsync'");
	assert_refused(write, "{\"path\":\"/\",\"user\":0}", "'user'");
	assert_refused(read, "{\"path\":\"/\",\"offset\":-1}", "'offset'");
	assert_refused(read, "{\"path\":\"/\",\"length\":1.5}", "'length'");
	assert_refused(drop, "{\"path\":\"/\",\"recursive\":null}", "'recursive'");
}

static void
test_what_is_absent_is_told_from_what_is_0(void **state)
{
	const uint8_t types[] = { VMM_GUEST_FILE_WRITE_REQ, VMM_GUEST_FILE_MKDIR_REQ,
		VMM_GUEST_FILE_SET_REQ };

	(void)state;
	for (size_t i = 0; i < sizeof(types); i++) {
		struct file_request CLEANUP_REQUEST none = parse(types[i], "{\"path\":\"/\"}");
		struct file_request CLEANUP_REQUEST zero = parse(
		    types[i], "{\"path\":\"/\",\"mode\":0,\"mtime_secs\":0,\"uid\":0,\"gid\":0}");
		struct file_request CLEANUP_REQUEST most =
		    parse(types[i], "{\"path\":\"/\",\"mtime_secs\":-9223372036854775808,"
				    "\"mtime_nanos\":999999999,\"uid\":4294967294,\"gid\":7}");

		assert_false(none.has_mode || none.has_mtime || none.has_uid || none.has_gid);
		assert_true(zero.has_mode && zero.has_mtime && zero.has_uid && zero.has_gid);
		assert_int_equal(zero.mtime_nanos, 0);
		assert_true(most.has_mtime && most.mtime_secs == INT64_MIN);
		assert_int_equal(most.mtime_nanos, 999999999);
		assert_true(most.has_uid && most.uid == UINT32_MAX - 1);
		assert_true(most.has_gid && most.gid == 7);
		assert_refused(types[i], "{\"path\":\"/\",\"uid\":4294967295}", "'uid'");
		assert_refused(types[i], "{\"path\":\"/\",\"gid\":-1}", "'gid'");
		assert_refused(types[i], "{\"path\":\"/\",\"mtime_secs\":1.5}", "'mtime_secs'");
		assert_refused(types[i], "{\"path\":\"/\",\"mtime_nanos\":1}", "'mtime_secs'");
		assert_refused(types[i],
		    "{\"path\":\"/\",\"mtime_secs\":1,\"mtime_nanos\":1000000000}",
		    "'mtime_nanos'");
	}
}

static void
test_a_symlink_has_a_target_that_a_link_can_have(void **state)
{
	const uint8_t link = VMM_GUEST_FILE_SYMLINK_REQ;
	struct file_request CLEANUP_REQUEST request =
	    parse(link, "{\"path\":\"/l\",\"target\":\"../x\",\"user\":\"u\"}");
	char text[5000];

	(void)state;
	assert_string_equal(request.path, "/l");
	assert_string_equal(request.target, "../x");
	assert_string_equal(request.user, "u");
	assert_refused(link, "{\"path\":\"/l\"}", "'target' is missing");
	assert_refused(link, "{\"path\":\"/l\",\"target\":\"\"}", "'target'");
	(void)snprintf(text, sizeof(text), "{\"path\":\"/l\",\"target\":\"%04096d\"}", 0);
	assert_refused(link, text, "'target': 4096 bytes, the most is 4095");
}

static void
test_a_request_ignores_what_is_not_its_own(void **state)
{
	struct file_request CLEANUP_REQUEST request =
	    parse(VMM_GUEST_FILE_STAT_REQ, "{\"path\":\"/\",\"mode\":\"x\",\"recursive\":1}");

	(void)state;
	assert_int_equal(request.mode, 0);
	assert_false(request.recursive);
}

static void
test_what_is_formatted_is_parsed_as_it_was(void **state)
{
	const struct file_request asked = {
		.path = "/a \"\xe2\x82\xac\"\n",
		.to = "/b",
		.user = "root",
		.mode = 07777,
		.fsync = true,
		.recursive = true,
		.offset = 1,
		.length = UINT64_MAX - 1,
		.max_entries = 7,
		.target = "../b",
		.has_mode = true,
		.has_mtime = true,
		.mtime_secs = -1,
		.mtime_nanos = 999999999,
		.has_uid = true,
		.uid = UINT32_MAX - 1,
		.has_gid = true,
		.gid = 5,
		.more = true,
	};

	(void)state;
	for (uint8_t type = VMM_GUEST_FILE_WRITE_REQ; type <= VMM_GUEST_FILE_LINK_REQ; type++) {
		if (type > VMM_GUEST_FILE_WATCH_REQ && type < VMM_GUEST_FILE_SYMLINK_REQ)
			continue;
		size_t len;
		char *text = file_request_format(type, &asked, &len);

		assert_int_equal(len, strlen(text));
		if (type != VMM_GUEST_FILE_DATA && type != VMM_GUEST_FILE_DONE) {
			struct file_request CLEANUP_REQUEST request = parse(type, text);

			assert_string_equal(request.path, asked.path);
			assert_true(request.to == NULL || strcmp(request.to, "/b") == 0);
			assert_true(request.mode == 0 || request.mode == 07777);
			assert_true(request.length == UINT64_MAX || request.offset == 1);
			assert_true(request.max_entries == UINT64_MAX || request.max_entries == 7);
			assert_true(request.target == NULL || strcmp(request.target, "../b") == 0);
			assert_true(!request.has_uid || request.uid == UINT32_MAX - 1);
			assert_true(!request.has_gid || request.gid == 5);
			assert_true(request.more == (type != VMM_GUEST_FILE_WATCH_REQ));
			assert_true(!request.has_mtime ||
				    (request.mtime_secs == -1 && request.mtime_nanos == 999999999));
		}
		free(text);
	}
}

static void
test_hosts_of_today_see_the_members_they_know_and_no_others(void **state)
{
	const struct file_request plain = { .path = "/x", .user = "", .length = UINT64_MAX };
	const struct {
		uint8_t type;
		const char *text;
	} expected[] = {
		{ VMM_GUEST_FILE_WRITE_REQ, "{\"path\":\"/x\",\"mode\":0}" },
		{ VMM_GUEST_FILE_READ_REQ, "{\"path\":\"/x\"}" },
		{ VMM_GUEST_FILE_MKDIR_REQ, "{\"path\":\"/x\",\"mode\":0}" },
		{ VMM_GUEST_FILE_REMOVE_REQ, "{\"path\":\"/x\",\"recursive\":false}" },
		{ VMM_GUEST_FILE_WATCH_REQ, "{\"path\":\"/x\",\"recursive\":false}" },
		{ VMM_GUEST_FILE_SET_REQ, "{\"path\":\"/x\"}" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
		size_t len;
		char *text = file_request_format(expected[i].type, &plain, &len);

		assert_string_equal(text, expected[i].text);
		free(text);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_write_has_a_path_and_a_mode),
		cmocka_unit_test(test_a_read_may_have_a_range),
		cmocka_unit_test(test_a_watch_may_know_of_gaps_and_have_a_user),
		cmocka_unit_test(test_more_is_read_of_a_request_that_is_wrong_otherwise),
		cmocka_unit_test(test_a_move_has_from_and_to_and_no_path),
		cmocka_unit_test(test_a_link_has_from_and_to_and_no_path),
		cmocka_unit_test(test_every_request_needs_its_path),
		cmocka_unit_test(test_wrong_members_are_refused_by_name),
		cmocka_unit_test(test_what_is_absent_is_told_from_what_is_0),
		cmocka_unit_test(test_a_symlink_has_a_target_that_a_link_can_have),
		cmocka_unit_test(test_a_request_ignores_what_is_not_its_own),
		cmocka_unit_test(test_what_is_formatted_is_parsed_as_it_was),
		cmocka_unit_test(test_hosts_of_today_see_the_members_they_know_and_no_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
