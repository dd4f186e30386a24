/*
 * What the agent tells, read back by the client.
 *
 * SPDX-License-Identifier: MIT
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
#include "protocol/json.h"
#include "protocol/report.h"
#include "protocol/restored_request.h"
#include "protocol/status.h"

static void
test_status_is_read_as_it_was_written(void **state)
{
	static const char *const features[] = { "START", "KILL" };
	const struct status_slot slots[] = {
		{ .kind = "exec", 7, 4321, "app", "sleep 1", 1500, 12, .bytes_out = 34 },
		{ .kind = "detached", 9, 4322, "", "x \"y\"", 1, 0, .bytes_out = 1 },
	};
	struct status status = { .version = "1.2.3",
		.features = features,
		.features_count = 2,
		.pid = 1,
		.uptime_ms = 123456,
		.boot_ms = 1.5,
		.workers = { 16, 10, 3, 7, 2, 1, 2 },
		.sessions = { 1, 2, 3, 4, 5, 6, 7, 8 },
		.worker_deaths = { .total = 3, .last_signal = 11, .last_unix_ms = 1700000000000 },
		.clock_syncs = 8,
		.has_generation = true,
		.generation = UINT64_MAX,
		.shm_bytes = 9,
		.max_file_bytes = 10,
		.slots = slots,
		.slots_count = 2 };
	struct status view;
	struct json_error error = { 0 };
	size_t len;
	char *text;

	(void)state;
	status.worker_deaths.by_signal[9] = 2;
	status.worker_deaths.by_signal[0] = 1;
	text = status_format(&status, &len);
	assert_int_equal(status_parse(text, len, &view, &error), 0);
	assert_string_equal(view.version, "1.2.3");
	assert_int_equal(view.features_count, 2);
	assert_string_equal(view.features[1], "KILL");
	assert_int_equal(view.pid, 1);
	assert_int_equal(view.uptime_ms, 123456);
	assert_true(view.boot_ms > 1.49 && view.boot_ms < 1.51);
	assert_memory_equal(&view.workers, &status.workers, sizeof(status.workers));
	assert_memory_equal(&view.sessions, &status.sessions, sizeof(status.sessions));
	assert_memory_equal(
	    &view.worker_deaths, &status.worker_deaths, sizeof(status.worker_deaths));
	assert_int_equal(view.clock_syncs, 8);
	assert_true(view.has_generation && view.generation == UINT64_MAX);
	assert_int_equal(view.shm_bytes, 9);
	assert_int_equal(view.max_file_bytes, 10);
	assert_int_equal(view.slots_count, 2);
	assert_int_equal(view.slots[0].session, 7);
	assert_string_equal(view.slots[0].user, "app");
	assert_string_equal(view.slots[1].command, "x \"y\"");
	assert_int_equal(view.slots[1].bytes_out, 1);
	status_done(&view);
	free(text);
}

static void
test_status_of_an_agent_that_tells_less_is_read(void **state)
{
	static const char text[] = "{\"version\":\"0\",\"more\":[1]}";
	struct status view;
	struct json_error error = { 0 };

	(void)state;
	assert_int_equal(status_parse(text, strlen(text), &view, &error), 0);
	assert_string_equal(view.version, "0");
	assert_int_equal(view.workers.configured, 0);
	assert_int_equal(view.slots_count, 0);
	status_done(&view);
}

static void
test_status_of_another_shape_is_refused(void **state)
{
	static const char *const texts[] = { "", "[]", "{\"pid\":\"1\"}", "{\"slots\":{}}",
		"{\"slots\":[1]}", "{\"workers\":[]}", "{\"workers\":{\"idle\":-1}}",
		"{\"features\":[1]}", "{\"slots\":[{\"kind\":null}]}",
		"{\"worker_deaths\":{\"by_signal\":7}}" };

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct status view;
		struct json_error error = { 0 };

		assert_true(status_parse(texts[i], strlen(texts[i]), &view, &error) < 0);
		assert_true(error.text[0] != '\0');
	}
}

static void
test_signals_beyond_the_last_are_dropped(void **state)
{
	static const char text[] =
	    "{\"worker_deaths\":{\"by_signal\":{\"64\":1,\"65\":2,\"-1\":3,\"9999999\":4}}}";
	struct status view;
	struct json_error error = { 0 };

	(void)state;
	assert_int_equal(status_parse(text, strlen(text), &view, &error), 0);
	assert_int_equal(view.worker_deaths.by_signal[64], 1);
	status_done(&view);
}

static void
test_entries_are_read_as_they_were_written(void **state)
{
	const struct file_entry entry = { "a\"b", FILE_ENTRY_SYMLINK, FILE_ENTRY_NOT_TOLD, 5, 04755,
		-1, 999999999, 1000, 1001, "t" };
	struct file_list list = { 0 };
	struct file_listing listing;
	struct json_error error = { 0 };

	(void)state;
	assert_int_equal(file_list_add(&list, &entry), 0);
	assert_int_equal(file_list_add(&list, &entry), 0);
	assert_int_equal(file_list_finish(&list), 0);
	assert_int_equal(file_listing_parse(list.text, list.len, &listing, &error), 0);
	assert_int_equal(listing.count, 2);
	assert_string_equal(listing.entries[1].name, "a\"b");
	assert_int_equal(listing.entries[1].kind, FILE_ENTRY_SYMLINK);
	assert_int_equal(listing.entries[1].size, 5);
	assert_int_equal(listing.entries[1].mode, 04755);
	assert_int_equal(listing.entries[1].mtime_secs, -1);
	assert_int_equal(listing.entries[1].mtime_nanos, 999999999);
	assert_int_equal(listing.entries[1].uid, 1000);
	assert_int_equal(listing.entries[1].gid, 1001);
	assert_string_equal(listing.entries[1].symlink_target, "t");
	file_listing_done(&listing);
	file_list_done(&list);
}

static void
test_a_kind_that_is_not_known_is_other(void **state)
{
	static const char text[] = "{\"name\":\"a\",\"kind\":\"door\",\"mode\":65535}";
	struct file_listing listing;
	struct json_error error = { 0 };

	(void)state;
	assert_int_equal(file_listing_parse_one(text, strlen(text), &listing, &error), 0);
	assert_int_equal(listing.count, 1);
	assert_int_equal(listing.entries[0].kind, FILE_ENTRY_OTHER);
	assert_int_equal(listing.entries[0].mode, 07777);
	file_listing_done(&listing);
}

static void
test_an_empty_list_is_one(void **state)
{
	struct file_listing listing;
	struct json_error error = { 0 };

	(void)state;
	assert_int_equal(file_listing_parse("[]", 2, &listing, &error), 0);
	assert_int_equal(listing.count, 0);
	file_listing_done(&listing);
}

static void
test_events_are_read_as_they_were_written(void **state)
{
	for (int kind = FILE_EVENT_CREATED; kind <= FILE_EVENT_UNWATCHED; kind++) {
		const struct file_event written = { (enum file_event_kind)kind, "/a", "/b", "EIO" };
		struct json_object *json = NULL;
		struct json_error error = { 0 };
		struct file_event event;
		size_t len;
		char *text = file_event_format(&written, &len);

		assert_int_equal(file_event_parse(text, len, &event, &json, &error), 0);
		assert_int_equal(event.kind, kind);
		assert_string_equal(event.path, "/a");
		assert_string_equal(event.renamed_to, "/b");
		json_put(&json);
		free(text);
	}
	(void)state;
}

static void
test_an_event_that_is_not_known_is_refused(void **state)
{
	static const char text[] = "{\"kind\":\"eaten\",\"path\":\"/a\"}";
	struct json_object *json = NULL;
	struct json_error error = { 0 };
	struct file_event event;

	(void)state;
	assert_true(file_event_parse(text, strlen(text), &event, &json, &error) < 0);
	assert_null(json);
	assert_true(error.text[0] != '\0');
}

static void
test_reports_are_read_as_they_were_written(void **state)
{
	const struct report started = { .event = REPORT_STARTED, .pid = 77 };
	const struct report written = { .event = REPORT_EXITED,
		.exited = { 137, 9, "oom", 10, 20, 30, 40, true, true, true, 50, 60 } };
	struct json_error error = { 0 };
	struct report report;
	size_t len;
	char *text = report_format(&started, &len);

	(void)state;
	assert_int_equal(report_parse(text, len, &report, &error), 0);
	assert_int_equal(report.event, REPORT_STARTED);
	assert_int_equal(report.pid, 77);
	assert_int_equal(report.session, 0);
	report_done(&report);
	free(text);
	text = report_format(&written, &len);
	assert_int_equal(report_parse(text, len, &report, &error), 0);
	assert_int_equal(report.event, REPORT_EXITED);
	assert_int_equal(report.exited.code, 137);
	assert_int_equal(report.exited.signal, 9);
	assert_string_equal(report.exited.reason, "oom");
	assert_int_equal(report.exited.max_rss_kb, 40);
	assert_true(report.exited.output_held);
	assert_true(report.exited.has_memory_peak && report.exited.has_oom_kills);
	assert_int_equal(report.exited.memory_peak_bytes, 50);
	assert_int_equal(report.exited.oom_kills, 60);
	report_done(&report);
	free(text);
}

static void
test_a_report_without_a_cgroup_says_so(void **state)
{
	static const char text[] = "{\"event\":\"exited\",\"code\":0}";
	struct json_error error = { 0 };
	struct report report;

	(void)state;
	assert_int_equal(report_parse(text, strlen(text), &report, &error), 0);
	assert_false(report.exited.has_memory_peak || report.exited.has_oom_kills);
	assert_string_equal(report.exited.reason, "");
	report_done(&report);
}

/* Its text is the guest's, and reading JSON takes many times its length. */
static void
test_a_report_that_is_longer_than_any_is_none(void **state)
{
	static const char front[] = "{\"event\":\"exited\",\"code\":0}";
	static char text[REPORT_LEN_MAX + 1];
	struct json_error error = { 0 };
	struct report report;

	(void)state;
	memset(text, ' ', sizeof(text));
	memcpy(text, front, sizeof(front) - 1);
	assert_int_equal(report_parse(text, REPORT_LEN_MAX, &report, &error), 0);
	report_done(&report);
	assert_int_equal(report_parse(text, REPORT_LEN_MAX + 1, &report, &error), -EINVAL);
	assert_non_null(strstr(error.text, "too long"));
}

static void
test_a_restored_answer_is_read_as_it_was_written(void **state)
{
	const struct restored_status written = {
		.total_us = 6, .errors_count = 2, .errors = { "clock: no", "net: no" }
	};
	struct json_error error = { 0 };
	struct restored_status status;
	size_t len;
	char *text = restored_status_format(&written, &len);

	(void)state;
	assert_int_equal(restored_status_parse(text, len, &status, &error), 0);
	assert_int_equal(status.total_us, 6);
	assert_int_equal(status.errors_count, 2);
	assert_string_equal(status.errors[1], "net: no");
	free(text);
}

static void
test_more_errors_than_there_are_steps_are_dropped(void **state)
{
	static const char text[] =
	    "{\"errors\":[\"a\",\"b\",\"c\",\"d\",\"e\",\"f\",\"g\",\"h\",\"i\",\"j\","
	    "\"k\",\"l\"]}";
	struct json_error error = { 0 };
	struct restored_status status;

	(void)state;
	assert_int_equal(restored_status_parse(text, strlen(text), &status, &error), 0);
	_Static_assert(RESTORED_ERRORS_MAX < 12, "the text has more");
	assert_int_equal(status.errors_count, RESTORED_ERRORS_MAX);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_status_is_read_as_it_was_written),
		cmocka_unit_test(test_status_of_an_agent_that_tells_less_is_read),
		cmocka_unit_test(test_status_of_another_shape_is_refused),
		cmocka_unit_test(test_signals_beyond_the_last_are_dropped),
		cmocka_unit_test(test_entries_are_read_as_they_were_written),
		cmocka_unit_test(test_a_kind_that_is_not_known_is_other),
		cmocka_unit_test(test_an_empty_list_is_one),
		cmocka_unit_test(test_events_are_read_as_they_were_written),
		cmocka_unit_test(test_an_event_that_is_not_known_is_refused),
		cmocka_unit_test(test_reports_are_read_as_they_were_written),
		cmocka_unit_test(test_a_report_without_a_cgroup_says_so),
		cmocka_unit_test(test_a_report_that_is_longer_than_any_is_none),
		cmocka_unit_test(test_a_restored_answer_is_read_as_it_was_written),
		cmocka_unit_test(test_more_errors_than_there_are_steps_are_dropped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
