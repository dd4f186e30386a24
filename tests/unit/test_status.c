/*
 * STATUS's JSON: what is formatted is JSON, and says what stands in the struct.
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

#include "protocol/json.h"
#include "protocol/status.h"
#include "vmm-guest/protocol.h"

static struct json_object *
format_and_parse(const struct status *status)
{
	struct json_error error;
	struct json_object *json = NULL;
	size_t len = 0;
	char *text = status_format(status, &len);

	assert_non_null(text);
	assert_int_equal(len, strlen(text));
	if (json_parse_object(text, len, &json, &error) < 0)
		fail_msg("%s: %s", text, error.text);
	free(text);
	return json;
}

static struct json_object *
get(struct json_object *object, const char *name)
{
	struct json_object *member;

	if (!json_object_object_get_ex(object, name, &member))
		fail_msg("no member %s", name);
	return member;
}

static void
assert_number(struct json_object *object, const char *name, uint64_t expected)
{
	struct json_object *member = get(object, name);

	assert_true(json_object_is_type(member, json_type_int));
	if (json_object_get_uint64(member) != expected)
		fail_msg("%s is %s", name, json_object_get_string(member));
}

static void
test_an_agent_that_did_nothing_has_every_member(void **state)
{
	const struct status status = { .version = "1.2.3", .protocol = VMM_GUEST_PROTOCOL_VERSION };
	struct json_object *CLEANUP_JSON json = format_and_parse(&status);

	(void)state;
	assert_string_equal(json_object_get_string(get(json, "version")), "1.2.3");
	assert_number(json, "protocol", VMM_GUEST_PROTOCOL_VERSION);
	assert_number(json, "pid", 0);
	assert_number(json, "uptime_ms", 0);
	assert_number(json, "clock_syncs", 0);
	assert_int_equal(json_object_array_length(get(json, "features")), 0);
	assert_int_equal(json_object_array_length(get(json, "slots")), 0);
	assert_int_equal(
	    json_object_object_length(get(get(json, "worker_deaths"), "by_signal")), 0);
}

static void
test_counts_stand_under_their_names(void **state)
{
	const char *const features[] = { "START", "STDIN" };
	const struct status status = {
		.version = "0",
		.features = features,
		.features_count = 2,
		.pid = 1,
		.uptime_ms = UINT64_MAX,
		.boot_ms = 4.25,
		.workers = { 1, 2, 3, 4, 5, 6, 7 },
		.sessions = { 11, 12, 13, 14, 15, 16, 17, 18 },
		.clock_syncs = 21,
		.shm_bytes = 22,
		.max_file_bytes = 33,
	};
	struct json_object *CLEANUP_JSON json = format_and_parse(&status);
	struct json_object *workers = get(json, "workers");
	struct json_object *sessions = get(json, "sessions");
	const char *const worker_names[] = { "configured", "idle", "exec", "look", "file",
		"control", "reserved" };
	const char *const session_names[] = { "started", "exited", "signaled", "timeouts", "oom",
		"refused", "bad_requests", "stalled" };

	(void)state;
	assert_number(json, "uptime_ms", UINT64_MAX);
	assert_number(json, "clock_syncs", 21);
	assert_number(json, "shm_bytes", 22);
	assert_number(json, "max_file_bytes", 33);
	assert_string_equal(json_object_get_string(get(json, "boot_ms")), "4.250");
	assert_string_equal(
	    json_object_get_string(json_object_array_get_idx(get(json, "features"), 1)), "STDIN");
	for (size_t i = 0; i < 7; i++)
		assert_number(workers, worker_names[i], i + 1);
	for (size_t i = 0; i < 8; i++)
		assert_number(sessions, session_names[i], i + 11);
}

static void
test_a_quiesce_is_told_while_there_is_one(void **state)
{
	struct status status = { .version = "0", .quiesce = { UINT64_MAX, "held", 7 } };
	struct json_object *CLEANUP_JSON without = format_and_parse(&status);
	struct json_object *CLEANUP_JSON with = NULL;
	struct json_object *quiesce;

	(void)state;
	assert_false(json_object_object_get_ex(without, "quiesce", NULL));
	status.is_quiesced = true;
	with = format_and_parse(&status);
	quiesce = get(with, "quiesce");
	assert_number(quiesce, "number", UINT64_MAX);
	assert_number(quiesce, "hold_left_ms", 7);
	assert_string_equal(json_object_get_string(get(quiesce, "phase")), "held");
}

static void
test_deaths_are_told_by_signal_where_there_were_any(void **state)
{
	const struct status status = {
		.version = "0",
		.worker_deaths = { .total = 4,
		    .by_signal = { [0] = 1, [9] = 2, [64] = 1 },
		    .last_signal = 9,
		    .last_unix_ms = 1700000000123 },
	};
	struct json_object *CLEANUP_JSON json = format_and_parse(&status);
	struct json_object *deaths = get(json, "worker_deaths");
	struct json_object *by_signal = get(deaths, "by_signal");

	(void)state;
	assert_number(deaths, "total", 4);
	assert_number(deaths, "last_signal", 9);
	assert_number(deaths, "last_unix_ms", 1700000000123);
	assert_int_equal(json_object_object_length(by_signal), 3);
	assert_number(by_signal, "0", 1);
	assert_number(by_signal, "9", 2);
	assert_number(by_signal, "64", 1);
}

static void
test_figures_of_the_guest_are_told_where_they_were_asked_for(void **state)
{
	const struct figures_disk disks[] = { { .name = "vda", .read_bytes = 5, .busy_ms = 6 } };
	const struct figures_link links[] = { { .name = "eth0", .sent_bytes = 7 },
		{ .name = "\xff", .received_bytes = 8 } };
	struct status status = { .version = "0",
		.guest = { .kernel = "6.1.0",
		    .cpus = 2,
		    .cpu_ms = { 1, 2, 3, 4, 5, 6, 7, UINT64_MAX },
		    .memory = { 11, 12, 13, 14, 15 },
		    .root = { 21, 22, 23, 24 },
		    .disks = disks,
		    .disks_count = 1,
		    .links = links,
		    .links_count = 2,
		    .io_stall_us = { 31, 32 } } };
	const char *const cpu_names[] = { "user_ms", "nice_ms", "system_ms", "idle_ms", "iowait_ms",
		"irq_ms", "softirq_ms" };
	const char *const memory_names[] = { "total_bytes", "free_bytes", "available_bytes",
		"swap_total_bytes", "swap_free_bytes" };
	struct json_object *CLEANUP_JSON without = format_and_parse(&status);
	struct json_object *CLEANUP_JSON with = NULL;
	struct json_object *CLEANUP_JSON with_pressure = NULL;
	struct json_object *guest;

	(void)state;
	assert_false(json_object_object_get_ex(without, "guest", NULL));
	status.has_guest = true;
	with = format_and_parse(&status);
	guest = get(with, "guest");
	assert_string_equal(json_object_get_string(get(guest, "kernel")), "6.1.0");
	assert_number(guest, "cpus", 2);
	for (size_t i = 0; i < 7; i++)
		assert_number(get(guest, "cpu"), cpu_names[i], i + 1);
	assert_number(get(guest, "cpu"), "steal_ms", UINT64_MAX);
	for (size_t i = 0; i < 5; i++)
		assert_number(get(guest, "memory"), memory_names[i], i + 11);
	assert_number(get(guest, "root"), "free_inodes", 24);
	assert_number(json_object_array_get_idx(get(guest, "disks"), 0), "read_bytes", 5);
	assert_number(json_object_array_get_idx(get(guest, "network"), 0), "sent_bytes", 7);
	assert_string_equal(json_object_get_string(
				get(json_object_array_get_idx(get(guest, "network"), 1), "name")),
	    "\xef\xbf\xbd");
	assert_false(json_object_object_get_ex(guest, "pressure", NULL));
	status.guest.has_pressure = true;
	with_pressure = format_and_parse(&status);
	assert_number(get(get(with_pressure, "guest"), "pressure"), "io_full_us", 32);
}

static void
test_figures_come_back_as_they_were_sent(void **state)
{
	const struct figures_disk disks[] = { { .name = "vda", .reads = 4 }, { .name = "vdb" } };
	const struct status_slot slots[] = {
		{ .kind = "exec", .user = "", .command = "", .figures = { .has_cpu = true } },
		{ .kind = "exec",
		    .user = "",
		    .command = "",
		    .figures = { .has_memory = true, .memory_bytes = 9 } },
	};
	const struct status status = { .version = "0",
		.has_guest = true,
		.guest = { .kernel = "6", .uptime_ms = 3, .disks = disks, .disks_count = 2 },
		.slots = slots,
		.slots_count = 2 };
	struct status CLEANUP_STATUS read = { 0 };
	struct json_error error = { 0 };
	size_t len = 0;
	char *text = status_format(&status, &len);

	(void)state;
	assert_int_equal(status_parse(text, len, &read, &error), 0);
	free(text);
	assert_true(read.has_guest && !read.guest.has_pressure);
	assert_string_equal(read.guest.kernel, "6");
	assert_int_equal(read.guest.uptime_ms, 3);
	assert_int_equal(read.guest.disks_count, 2);
	assert_int_equal(read.guest.disks[0].reads, 4);
	assert_string_equal(read.guest.disks[1].name, "vdb");
	assert_true(read.slots[0].figures.has_cpu && !read.slots[0].figures.has_memory);
	assert_true(!read.slots[1].figures.has_cpu && read.slots[1].figures.has_memory);
	assert_int_equal(read.slots[1].figures.memory_bytes, 9);
}

static void
test_texts_of_a_slot_are_made_fit_for_json(void **state)
{
	char command[VMM_GUEST_COMMAND_MAX + 1];
	const struct status_slot slots[] = {
		{ .kind = "exec",
		    .session = UINT64_MAX,
		    .pid = 7,
		    .user = "r\xff"
			    "t",
		    .command = command,
		    .age_ms = 1,
		    .bytes_in = 2,
		    .bytes_out = 3 },
		{ .kind = "write", .user = "", .command = "a\"\\\n\x01\x1b" },
	};
	const struct status status = { .version = "0", .slots = slots, .slots_count = 2 };
	struct json_object *json;
	struct json_object *slot;

	(void)state;
	memset(command, 0xff, sizeof(command));
	command[sizeof(command) - 1] = '\0';
	json = format_and_parse(&status);
	slot = json_object_array_get_idx(get(json, "slots"), 0);
	assert_string_equal(json_object_get_string(get(slot, "kind")), "exec");
	assert_string_equal(json_object_get_string(get(slot, "user")), "r\xef\xbf\xbdt");
	/* Each byte became three. */
	assert_int_equal(
	    json_object_get_string_len(get(slot, "command")), 3 * VMM_GUEST_COMMAND_MAX);
	assert_number(slot, "session", UINT64_MAX);
	assert_number(slot, "pid", 7);
	assert_number(slot, "age_ms", 1);
	assert_number(slot, "bytes_in", 2);
	assert_number(slot, "bytes_out", 3);
	slot = json_object_array_get_idx(get(json, "slots"), 1);
	assert_string_equal(json_object_get_string(get(slot, "command")), "a\"\\\n\x01\x1b");
	json_put(&json);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_an_agent_that_did_nothing_has_every_member),
		cmocka_unit_test(test_counts_stand_under_their_names),
		cmocka_unit_test(test_a_quiesce_is_told_while_there_is_one),
		cmocka_unit_test(test_deaths_are_told_by_signal_where_there_were_any),
		cmocka_unit_test(test_figures_of_the_guest_are_told_where_they_were_asked_for),
		cmocka_unit_test(test_figures_come_back_as_they_were_sent),
		cmocka_unit_test(test_texts_of_a_slot_are_made_fit_for_json),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
