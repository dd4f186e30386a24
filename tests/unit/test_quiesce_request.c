/*
 * The JSON of QUIESCE and THAW, and of the STATUS that answers them.
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

#include "protocol/quiesce_request.h"
#include "protocol/quiesce_status.h"
#include "vmm-guest/protocol.h"

static struct quiesce_request
parse(const char *text)
{
	struct json_error error = { 0 };
	struct quiesce_request request;

	assert_int_equal(quiesce_request_parse(text, strlen(text), &request, &error), 0);
	return request;
}

static void
assert_refused(const char *text, const char *part)
{
	struct json_error error = { 0 };
	struct quiesce_request request;

	assert_int_equal(quiesce_request_parse(text, strlen(text), &request, &error), -EINVAL);
	assert_non_null(strstr(error.text, part));
}

/* ---- QUIESCE ------------------------------------------------------------- */

static void
test_quiesce_freezes_sessions_and_no_file_system_unless_told_otherwise(void **state)
{
	struct quiesce_request request = parse("{}");

	(void)state;
	assert_int_equal(request.freeze, QUIESCE_FREEZE_SESSIONS);
	assert_true(request.sync);
	assert_false(request.is_all);
	assert_int_equal(request.paths_count, 0);
	assert_int_equal(request.within_ms, 5000);
	assert_int_equal(request.hold_ms, 30000);
	assert_int_equal(request.on_gone, QUIESCE_ON_GONE_THAW);
	quiesce_request_done(&request);
}

static void
test_quiesce_reads_what_a_host_writes(void **state)
{
	const char *paths[] = { "/", "/srv/a b", NULL };
	struct quiesce_request written = { .freeze = QUIESCE_FREEZE_NONE,
		.on_gone = QUIESCE_ON_GONE_HOLD,
		.within_ms = 60000,
		.hold_ms = 600000,
		.paths = paths,
		.paths_count = 2 };
	size_t len;
	char *text = quiesce_request_format(&written, &len);
	struct quiesce_request request = parse(text);

	(void)state;
	assert_int_equal(request.freeze, QUIESCE_FREEZE_NONE);
	assert_false(request.sync);
	assert_false(request.is_all);
	assert_int_equal(request.paths_count, 2);
	assert_string_equal(request.paths[0], "/");
	assert_string_equal(request.paths[1], "/srv/a b");
	assert_null(request.paths[2]);
	assert_int_equal(request.within_ms, 60000);
	assert_int_equal(request.hold_ms, 600000);
	assert_int_equal(request.on_gone, QUIESCE_ON_GONE_HOLD);
	quiesce_request_done(&request);
	free(text);
}

static void
test_quiesce_writes_no_member_that_has_its_default(void **state)
{
	struct quiesce_request request = parse("{\"fsfreeze\":[]}");
	size_t len;
	char *text = quiesce_request_format(&request, &len);

	(void)state;
	assert_string_equal(text, "{}");
	free(text);
	quiesce_request_done(&request);
}

static void
test_quiesce_freezes_all_file_systems_by_a_word(void **state)
{
	struct quiesce_request request = parse("{\"fsfreeze\":\"all\"}");
	size_t len;
	char *text = quiesce_request_format(&request, &len);

	(void)state;
	assert_true(request.is_all);
	assert_int_equal(request.paths_count, 0);
	assert_string_equal(text, "{\"fsfreeze\":\"all\"}");
	free(text);
	quiesce_request_done(&request);
}

static void
test_quiesce_with_a_member_that_makes_no_sense_is_refused_by_its_name(void **state)
{
	static const char *const wrong[][2] = {
		{ "{\"freeze\":\"all\"}", "'freeze': sessions or none is needed" },
		{ "{\"freeze\":null}", "'freeze'" },
		{ "{\"sync\":1}", "'sync'" },
		{ "{\"fsfreeze\":\"/\"}", "'fsfreeze': an array of paths or \"all\"" },
		{ "{\"fsfreeze\":true}", "'fsfreeze'" },
		{ "{\"fsfreeze\":null}", "'fsfreeze'" },
		{ "{\"fsfreeze\":[1]}", "'fsfreeze'" },
		{ "{\"fsfreeze\":[\"srv\"]}", "'fsfreeze': a path is not absolute" },
		{ "{\"fsfreeze\":[\"/\",\"\"]}", "'fsfreeze': a path is not absolute" },
		{ "{\"within_ms\":0}", "'within_ms': out of range, 1 to 60000" },
		{ "{\"within_ms\":60001}", "'within_ms': out of range, 1 to 60000" },
		{ "{\"hold_ms\":0}", "'hold_ms': out of range, 1 to 600000" },
		{ "{\"hold_ms\":600001}", "'hold_ms': out of range, 1 to 600000" },
		{ "{\"hold_ms\":-1}", "'hold_ms'" },
		{ "{\"on_gone\":\"stay\"}", "'on_gone': thaw or hold is needed" },
		{ "[]", "" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_refused(wrong[i][0], wrong[i][1]);
}

static void
test_quiesce_names_no_more_file_systems_than_the_contract_says(void **state)
{
	char text[16 * (VMM_GUEST_FSFREEZE_MAX + 2)] = "{\"fsfreeze\":[\"/0\"";
	struct quiesce_request request;

	(void)state;
	for (unsigned i = 1; i < VMM_GUEST_FSFREEZE_MAX; i++) {
		size_t len = strlen(text);

		(void)snprintf(text + len, sizeof(text) - len, ",\"/%u\"", i);
	}
	(void)strlcat(text, "]}", sizeof(text));
	request = parse(text);
	assert_int_equal(request.paths_count, VMM_GUEST_FSFREEZE_MAX);
	quiesce_request_done(&request);
	text[strlen(text) - 2] = '\0';
	(void)strlcat(text, ",\"/x\"]}", sizeof(text));
	assert_refused(text, "'fsfreeze': more than 64 paths");
}

static void
test_thaw_is_empty_or_an_object(void **state)
{
	struct json_error error = { 0 };

	(void)state;
	assert_int_equal(quiesce_thaw_parse("", 0, &error), 0);
	assert_int_equal(quiesce_thaw_parse("{}", 2, &error), 0);
	assert_int_equal(quiesce_thaw_parse("{\"later\":1}", 11, &error), 0);
	assert_int_equal(quiesce_thaw_parse("1", 1, &error), -EINVAL);
}

/* ---- STATUS -------------------------------------------------------------- */

static void
test_a_guest_that_is_quiesced_says_what_was_done_and_what_was_not(void **state)
{
	static const struct quiesce_step steps[] = { { "rest", 120, "" },
		{ "sessions", 3, "ENOTSUP: there is no cgroup v2" } };
	static const struct quiesce_place frozen[] = { { "/mnt/loop", "ext4", NULL },
		{ "/\xff", "xfs", "" } };
	static const struct quiesce_place skipped[] = { { "/net", "nfs4", "network" } };
	struct quiesce_status written = { .event = QUIESCE_EVENT_QUIESCED,
		.steps = steps,
		.steps_count = 2,
		.frozen = frozen,
		.frozen_count = 2,
		.skipped = skipped,
		.skipped_count = 1 };
	struct quiesce_status status;
	struct json_error error = { 0 };
	size_t len;
	char *text = quiesce_status_format(&written, &len);

	(void)state;
	assert_null(strstr(text, "thaw"));
	assert_int_equal(quiesce_status_parse(text, len, &status, &error), 0);
	assert_int_equal(status.event, QUIESCE_EVENT_QUIESCED);
	assert_string_equal(status.error, "");
	assert_int_equal(status.steps_count, 2);
	assert_string_equal(status.steps[0].name, "rest");
	assert_int_equal(status.steps[0].us, 120);
	assert_string_equal(status.steps[1].error, "ENOTSUP: there is no cgroup v2");
	assert_int_equal(status.frozen_count, 2);
	assert_string_equal(status.frozen[0].path, "/mnt/loop");
	assert_string_equal(status.frozen[0].why, "");
	assert_string_equal(status.frozen[1].path, "/\xef\xbf\xbd");
	assert_int_equal(status.skipped_count, 1);
	assert_string_equal(status.skipped[0].why, "network");
	quiesce_status_done(&status);
	free(text);
}

static void
test_a_quiesce_that_is_refused_says_why(void **state)
{
	struct quiesce_status written = { .event = QUIESCE_EVENT_QUIESCED,
		.error = "EBUSY: the guest is quiesced already" };
	struct quiesce_status status;
	struct json_error error = { 0 };
	size_t len;
	char *text = quiesce_status_format(&written, &len);

	(void)state;
	assert_int_equal(quiesce_status_parse(text, len, &status, &error), 0);
	assert_string_equal(status.error, written.error);
	assert_int_equal(status.steps_count, 0);
	assert_int_equal(status.frozen_count, 0);
	quiesce_status_done(&status);
	free(text);
}

static void
test_a_thaw_says_what_it_came_of(void **state)
{
	static const char *const words[] = { "host", "gone", "expired", "thaw", "restored",
		"shutdown" };

	(void)state;
	for (unsigned i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		struct quiesce_status written = { .event = QUIESCE_EVENT_THAWED, .why = i };
		struct quiesce_status status;
		struct json_error error = { 0 };
		char expected[64];
		size_t len;
		char *text = quiesce_status_format(&written, &len);

		(void)snprintf(
		    expected, sizeof(expected), "{\"event\":\"thawed\",\"why\":\"%s\"}", words[i]);
		assert_string_equal(text, expected);
		assert_int_equal(quiesce_status_parse(text, len, &status, &error), 0);
		assert_int_equal(status.event, QUIESCE_EVENT_THAWED);
		assert_int_equal(status.why, i);
		quiesce_status_done(&status);
		free(text);
	}
}

static void
test_an_event_or_a_reason_of_a_later_agent_is_not_an_error(void **state)
{
	static const char *const texts[] = { "{\"event\":\"warmed\"}",
		"{\"event\":\"thawed\",\"why\":\"sun\"}" };
	struct quiesce_status status;
	struct json_error error = { 0 };

	(void)state;
	assert_int_equal(quiesce_status_parse(texts[0], strlen(texts[0]), &status, &error), 0);
	assert_int_equal(status.event, QUIESCE_EVENT_OTHER);
	quiesce_status_done(&status);
	assert_int_equal(quiesce_status_parse(texts[1], strlen(texts[1]), &status, &error), 0);
	assert_int_equal(status.why, QUIESCE_THAW_OTHER);
	quiesce_status_done(&status);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    test_quiesce_freezes_sessions_and_no_file_system_unless_told_otherwise),
		cmocka_unit_test(test_quiesce_reads_what_a_host_writes),
		cmocka_unit_test(test_quiesce_writes_no_member_that_has_its_default),
		cmocka_unit_test(test_quiesce_freezes_all_file_systems_by_a_word),
		cmocka_unit_test(
		    test_quiesce_with_a_member_that_makes_no_sense_is_refused_by_its_name),
		cmocka_unit_test(test_quiesce_names_no_more_file_systems_than_the_contract_says),
		cmocka_unit_test(test_thaw_is_empty_or_an_object),
		cmocka_unit_test(test_a_guest_that_is_quiesced_says_what_was_done_and_what_was_not),
		cmocka_unit_test(test_a_quiesce_that_is_refused_says_why),
		cmocka_unit_test(test_a_thaw_says_what_it_came_of),
		cmocka_unit_test(test_an_event_or_a_reason_of_a_later_agent_is_not_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
