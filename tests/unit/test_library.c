/*
 * libvmmguest without a connection: what an agent says, cut at every place, and what the
 * handle makes of it.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "protocol/frame.h"
#include "vmm-guest/client.h"
#include "vmm-guest/protocol.h"

#define SCRIPT_MAX 8192
#define ASKED_MAX (1024 * 1024)

#define STARTED "{\"event\":\"started\",\"pid\":7}"
#define EXITED                                                                                     \
	"{\"event\":\"exited\",\"code\":125,\"signal\":0,\"reason\":\"exited\",\"wall_ms\":1,"     \
	"\"user_ms\":0,\"system_ms\":0,\"max_rss_kb\":1,\"output_held\":false}"
#define INSTANCE "0123456789abcdef0123456789abcdef"
#define STARTED_DURABLE                                                                            \
	"{\"event\":\"started\",\"pid\":7,\"session\":3,\"name\":\"s\",\"instance\":\"" INSTANCE   \
	"\"}"
#define ATTACHED(offset, stdin_bytes, open)                                                        \
	"{\"event\":\"attached\",\"session\":3,\"name\":\"s\",\"instance\":\"" INSTANCE            \
	"\",\"offset\":" #offset ",\"lost\":0,\"stdin_bytes\":" #stdin_bytes                       \
	",\"stdin_open\":" #open ",\"running\":true,\"tty\":false,\"columns\":0,\"rows\":0}"

/* What the agent says. */
static uint8_t script[SCRIPT_MAX];
static size_t script_len;

/* What has happened, such as "STDOUT hi|END 0|"; and what was asked, all of it. */
static char events[SCRIPT_MAX];
static uint8_t asked[ASKED_MAX];
static size_t asked_len;
static unsigned connects;

static void
say_bytes(const void *data, size_t len)
{
	assert_true(script_len + len <= sizeof(script));
	memcpy(script + script_len, data, len);
	script_len += len;
}

static void
say(uint8_t type, const char *payload)
{
	uint8_t header[VMM_GUEST_HEADER_LEN];

	frame_header_format(header, type, (uint32_t)strlen(payload));
	say_bytes(header, sizeof(header));
	say_bytes(payload, strlen(payload));
}

static void
say_exit(int32_t code, int32_t signal)
{
	uint8_t frame[VMM_GUEST_HEADER_LEN + VMM_GUEST_EXIT_LEN];

	frame_header_format(frame, VMM_GUEST_EXIT, VMM_GUEST_EXIT_LEN);
	frame_exit_format(
	    frame + VMM_GUEST_HEADER_LEN, (struct frame_exit){ .code = code, .signal = signal });
	say_bytes(frame, sizeof(frame));
}

static int
begin(void **state)
{
	(void)state;
	script_len = 0;
	events[0] = '\0';
	asked_len = 0;
	connects = 0;
	return 0;
}

/* ---- the host ---------------------------------------------------------------- */

static const char *const names[] = {
	[VMM_GUEST_EVENT_CONNECT] = "CONNECT",
	[VMM_GUEST_EVENT_STDOUT] = "STDOUT",
	[VMM_GUEST_EVENT_STDERR] = "STDERR",
	[VMM_GUEST_EVENT_STATUS] = "STATUS",
	[VMM_GUEST_EVENT_DATA] = "DATA",
	[VMM_GUEST_EVENT_ENTRY] = "ENTRY",
	[VMM_GUEST_EVENT_READY] = "READY",
	[VMM_GUEST_EVENT_CHANGE] = "CHANGE",
	[VMM_GUEST_EVENT_LEFT] = "LEFT",
	[VMM_GUEST_EVENT_END] = "END",
	[VMM_GUEST_EVENT_LOST] = "LOST",
	[VMM_GUEST_EVENT_QUIET] = "QUIET",
};

/* Pieces of one stream are one, however they came. */
static void
note(enum vmm_guest_event event, const void *data, size_t len)
{
	static enum vmm_guest_event last;
	bool is_stream = event == VMM_GUEST_EVENT_STDOUT || event == VMM_GUEST_EVENT_STDERR ||
			 event == VMM_GUEST_EVENT_DATA;
	size_t used = strlen(events);

	if (used > 0 && is_stream && event == last && len > 0)
		events[--used] = '\0';
	else
		used += (size_t)snprintf(events + used, sizeof(events) - used, "%s ", names[event]);
	if (len == 0)
		used--;
	(void)snprintf(events + used, sizeof(events) - used, "%.*s|", (int)len, (const char *)data);
	last = event;
}

/* All that has happened so far; what is to be sent is sent. */
static void
go_on(struct vmm_guest *guest)
{
	enum vmm_guest_event event;
	const void *data;
	size_t len;

	while ((event = vmm_guest_next(guest, &data, &len)) != VMM_GUEST_EVENT_NONE) {
		if (event == VMM_GUEST_EVENT_END) {
			char text[32];

			(void)snprintf(text, sizeof(text), "%d", vmm_guest_result(guest));
			note(event, text, strlen(text));
		} else if (event == VMM_GUEST_EVENT_CONNECT) {
			connects++;
		} else {
			note(event, data, len);
		}
	}
	while ((len = vmm_guest_pending(guest, &data)) > 0) {
		assert_true(asked_len + len <= sizeof(asked));
		memcpy(asked + asked_len, data, len);
		asked_len += len;
		vmm_guest_sent(guest, len);
	}
}

static struct vmm_guest *
ask(const char *frame, const char *json)
{
	struct vmm_guest *guest = vmm_guest_new(NULL);

	assert_non_null(guest);
	assert_int_equal(vmm_guest_begin(guest, frame, json), 0);
	go_on(guest);
	return guest;
}

/* Has LEN bytes of the script come, from AT on. */
static void
hear(struct vmm_guest *guest, size_t at, size_t len)
{
	while (len > 0) {
		size_t n = vmm_guest_feed(guest, script + at, len);

		go_on(guest);
		if (n == 0)
			return;
		at += n;
		len -= n;
	}
}

static void
hear_all(struct vmm_guest *guest)
{
	hear(guest, 0, script_len);
	script_len = 0;
}

/* The script as the answer to FRAME comes to EXPECTED: in one piece, byte by byte, and cut at
 * every place. Returns the handle as it was the last time. */
static struct vmm_guest *
comes_to(const char *frame, const char *json, const char *expected)
{
	struct vmm_guest *guest = NULL;

	for (size_t cut = 0; cut <= script_len + 1; cut++) {
		vmm_guest_free(guest);
		events[0] = '\0';
		asked_len = 0;
		guest = ask(frame, json);
		if (cut <= script_len) {
			hear(guest, 0, cut);
			hear(guest, cut, script_len - cut);
		} else {
			for (size_t i = 0; i < script_len; i++)
				hear(guest, i, 1);
		}
		assert_string_equal(events, expected);
	}
	return guest;
}

/* ---- programs ---------------------------------------------------------------- */

static void
test_output_and_its_end_come_however_they_are_cut(void **state)
{
	struct vmm_guest *guest;

	(void)state;
	say(VMM_GUEST_STATUS, STARTED);
	say(VMM_GUEST_STDOUT, "hi");
	say(VMM_GUEST_STDOUT, "");
	say(VMM_GUEST_STDOUT, " there");
	say(VMM_GUEST_STDERR, "oh");
	say_exit(3, 0);
	guest = comes_to(
	    "START", "{\"cmd\":[\"x\"]}", "STATUS " STARTED "|STDOUT hi there|STDERR oh|END 3|");
	assert_int_equal(vmm_guest_error(guest), 0);
	vmm_guest_free(guest);
}

static void
test_a_program_s_own_125_is_not_the_agent_s(void **state)
{
	(void)state;
	say(VMM_GUEST_STATUS, STARTED);
	say(VMM_GUEST_STDERR, "worker lost: so says a program");
	say(VMM_GUEST_STATUS, EXITED);
	say_exit(125, 0);
	vmm_guest_free(comes_to("START", "{\"cmd\":[\"x\"]}",
	    "STATUS " STARTED "|STDERR worker lost: so says a program|STATUS " EXITED "|END 125|"));
}

static void
check_refusal(const char *words, int32_t code, int expected)
{
	char end[32];
	struct vmm_guest *guest;

	script_len = 0;
	if (words[0] != '\0')
		say(VMM_GUEST_STDERR, words);
	say_exit(code, 0);
	(void)snprintf(end, sizeof(end), "END %d|", expected);
	guest = comes_to("START", "{\"cmd\":[\"x\"]}", end);
	assert_int_equal(vmm_guest_error(guest), expected);
	if (words[0] != '\0')
		assert_memory_equal(vmm_guest_error_text(guest), words, strlen(words) - 1);
	vmm_guest_free(guest);
}

static void
test_what_the_agent_refuses_is_an_error_that_says_why(void **state)
{
	(void)state;
	check_refusal("busy: 4 of 4 exec workers are in use\n", 125, -EBUSY);
	check_refusal("can't run '/nope': no such program\n", 127, -ENOENT);
	check_refusal("can't run '/etc/passwd': it is not executable\n", 126, -EACCES);
	check_refusal("bad START: member 'cmd': it is needed\n", 125, -EINVAL);
	check_refusal("EEXIST: session 'x' is there (number 12, running)\n", 125, -EEXIST);
	check_refusal("worker lost: signal 9\n", 125, -EIO);
	check_refusal("", 125, -EIO);
	check_refusal("", -1, -EIO);
}

static void
test_a_worker_that_is_lost_amid_the_output_is_an_error(void **state)
{
	struct vmm_guest *guest;

	(void)state;
	say(VMM_GUEST_STATUS, STARTED);
	say(VMM_GUEST_STDOUT, "half");
	say(VMM_GUEST_STDERR, "worker lost: signal 9\n");
	say_exit(125, 0);
	guest = comes_to("START", "{\"cmd\":[\"x\"]}", "STATUS " STARTED "|STDOUT half|END -5|");
	assert_string_equal(vmm_guest_error_text(guest), "worker lost: signal 9");
	vmm_guest_free(guest);
}

/* What is held for the agent's words is not lost where it turns out to be the program's. */
static void
test_what_a_program_says_last_comes_before_its_end(void **state)
{
	struct vmm_guest *guest;

	(void)state;
	say(VMM_GUEST_STDERR, "x\n");
	say_exit(1, 0);
	vmm_guest_free(comes_to("START", "{\"cmd\":[\"x\"]}", "STDERR x\n|END 1|"));
	begin(NULL);
	say(VMM_GUEST_STATUS, STARTED);
	say(VMM_GUEST_STDERR, "worker lost: x");
	say_exit(3, 0);
	vmm_guest_free(comes_to(
	    "START", "{\"cmd\":[\"x\"]}", "STATUS " STARTED "|STDERR worker lost: x|END 3|"));
	begin(NULL);
	say(VMM_GUEST_STDERR, "x");
	say(VMM_GUEST_STDERR, "y");
	say_exit(125, 0);
	vmm_guest_free(comes_to("START", "{\"cmd\":[\"x\"]}", "STDERR xy|END 125|"));
	begin(NULL);
	say(VMM_GUEST_STDERR, "x");
	guest = ask("START", "{\"cmd\":[\"x\"]}");
	assert_int_equal(vmm_guest_feed(guest, script, script_len), script_len);
	vmm_guest_hangup(guest, 0);
	go_on(guest);
	assert_string_equal(events, "STDERR x|END -104|");
	vmm_guest_free(guest);
}

/* By which nothing is copied for who can't write on, and the guest waits. */
static void
test_nothing_is_received_while_what_was_given_out_is_in_use(void **state)
{
	struct vmm_guest *guest = ask("START", "{\"cmd\":[\"x\"]}");
	const void *data;
	size_t len;

	(void)state;
	say(VMM_GUEST_STDOUT, "one");
	assert_int_equal(vmm_guest_feed(guest, script, script_len), script_len);
	assert_int_equal(vmm_guest_next(guest, &data, &len), VMM_GUEST_EVENT_STDOUT);
	assert_int_equal(vmm_guest_feed(guest, script, script_len), 0);
	assert_int_equal(vmm_guest_write(guest, "x", 1), 1);
	assert_int_equal(vmm_guest_signal(guest, 15), 0);
	assert_true(vmm_guest_pending(guest, &data) > 0);
	assert_int_equal(vmm_guest_next(guest, &data, &len), VMM_GUEST_EVENT_NONE);
	assert_int_equal(vmm_guest_feed(guest, script, script_len), script_len);
	vmm_guest_free(guest);
}

/* And the half of one that is lost with its connection was never counted. */
static void
test_a_frame_of_output_is_given_out_whole(void **state)
{
	struct vmm_guest *guest = ask("START", "{\"cmd\":[\"x\"]}");

	(void)state;
	say(VMM_GUEST_STATUS, STARTED);
	say(VMM_GUEST_STDOUT, "whole");
	assert_int_equal(vmm_guest_feed(guest, script, script_len - 1), script_len - 1);
	go_on(guest);
	assert_string_equal(events, "STATUS " STARTED "|");
	/* And what the agent owes still counts. */
	assert_int_equal(vmm_guest_feed(guest, script + script_len - 1, 1), 1);
	go_on(guest);
	assert_string_equal(events, "STATUS " STARTED "|STDOUT whole|");
	vmm_guest_free(guest);
}

static void
test_an_old_agent_s_program_may_write_to_stderr_first(void **state)
{
	(void)state;
	say(VMM_GUEST_STDERR, "warning\n");
	say(VMM_GUEST_STDERR, "again\n");
	say(VMM_GUEST_STDOUT, "out");
	say_exit(125, 0);
	vmm_guest_free(
	    comes_to("START", "{\"cmd\":[\"x\"]}", "STDERR warning\nagain\n|STDOUT out|END 125|"));
}

static void
test_a_connection_that_ends_early_is_an_error(void **state)
{
	struct vmm_guest *guest;

	(void)state;
	say(VMM_GUEST_STATUS, STARTED);
	say(VMM_GUEST_STDOUT, "half");
	guest = ask("START", "{\"cmd\":[\"x\"]}");
	assert_int_equal(vmm_guest_feed(guest, script, script_len), script_len);
	vmm_guest_hangup(guest, 0);
	go_on(guest);
	assert_string_equal(events, "STATUS " STARTED "|STDOUT half|END -104|");
	vmm_guest_free(guest);
}

static void
test_frames_that_nobody_knows_are_passed_over(void **state)
{
	(void)state;
	say(0x5f, "a later agent's");
	say(VMM_GUEST_STATUS, STARTED);
	say(0x1f, "");
	say_exit(0, 0);
	vmm_guest_free(comes_to("START", "{\"cmd\":[\"x\"]}", "STATUS " STARTED "|END 0|"));
}

static void
test_what_is_no_agent_is_found_out(void **state)
{
	struct vmm_guest *guest;

	(void)state;
	say_bytes("HTTP/1.1 400 Bad Request\r\n\r\n", 28);
	guest = ask("START", "{\"cmd\":[\"x\"]}");
	hear_all(guest);
	assert_string_equal(events, "END -71|");
	vmm_guest_free(guest);
}

static void
test_an_answer_that_is_too_long_is_not_kept(void **state)
{
	struct vmm_guest *guest = vmm_guest_new(NULL);
	char text[2000];

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	say(VMM_GUEST_STATUS, text);
	assert_int_equal(vmm_guest_set(guest, "json_max", 1024), 0);
	assert_int_equal(vmm_guest_begin(guest, "STATUS_REQ", NULL), 0);
	go_on(guest);
	hear_all(guest);
	assert_string_equal(events, "END -90|");
	vmm_guest_free(guest);
}

/* ---- requests ---------------------------------------------------------------- */

static void
test_a_request_is_answered_by_its_status(void **state)
{
	struct vmm_guest *guest;

	(void)state;
	say(VMM_GUEST_STATUS, "{\"version\":\"1\"}");
	say_exit(0, 0);
	guest = comes_to("STATUS_REQ", NULL, "STATUS {\"version\":\"1\"}|END 0|");
	assert_string_equal(vmm_guest_answer(guest), "{\"version\":\"1\"}");
	assert_memory_equal(asked, "\x40\0\0\0\0", 5);
	assert_int_equal(asked_len, 5);
	vmm_guest_free(guest);
}

static void
test_a_request_that_fails_says_why(void **state)
{
	struct vmm_guest *guest;

	(void)state;
	say_exit(1, 0);
	vmm_guest_free(comes_to("WAIT_PORT", "{\"port\":80}", "END -110|"));
	vmm_guest_free(comes_to("KILL", "{\"session\":1,\"signal\":9}", "END -3|"));
	script_len = 0;
	say(VMM_GUEST_STATUS,
	    "{\"event\":\"restored\",\"total_us\":8,\"errors\":[\"net: member 'netmask': it has "
	    "holes\"]}");
	say_exit(-1, 0);
	guest = ask("RESTORED", "{\"unix_ns\":1}");
	hear_all(guest);
	assert_int_equal(vmm_guest_result(guest), -EREMOTEIO);
	assert_string_equal(vmm_guest_error_text(guest), "net: member 'netmask': it has holes");
	assert_non_null(vmm_guest_answer(guest));
	vmm_guest_free(guest);
}

static void
test_a_request_s_answer_that_has_no_end_is_not_listened_to(void **state)
{
	static const uint8_t header[] = { 0x5f, 0, 0, 0, 1 };
	static uint8_t passed_over[64 * 1024];
	struct vmm_guest *guest = ask("STATUS_REQ", NULL);

	(void)state;
	assert_int_equal(vmm_guest_feed(guest, header, sizeof(header)), sizeof(header));
	for (size_t left = VMM_GUEST_FRAME_MAX; left > 0; go_on(guest))
		left -= vmm_guest_feed(
		    guest, passed_over, left < sizeof(passed_over) ? left : sizeof(passed_over));
	assert_int_equal(vmm_guest_result(guest), -EALREADY);
	assert_int_equal(vmm_guest_feed(guest, header, sizeof(header)), sizeof(header));
	go_on(guest);
	assert_int_equal(vmm_guest_result(guest), -EMSGSIZE);
	vmm_guest_free(guest);
}

static void
test_a_connection_into_the_guest_ends_one_way_at_a_time(void **state)
{
	(void)state;
	say(VMM_GUEST_STATUS, "{\"event\":\"connected\"}");
	say(VMM_GUEST_STDOUT, "220 hi");
	say(VMM_GUEST_STDOUT, "");
	say_exit(0, 0);
	vmm_guest_free(comes_to("CONNECT", "{\"port\":25}",
	    "STATUS {\"event\":\"connected\"}|STDOUT 220 hi|STDOUT|END 0|"));
	script_len = 0;
	say(VMM_GUEST_STDERR, "can't connect: connection refused\n");
	say_exit(1, 0);
	vmm_guest_free(comes_to("CONNECT", "{\"port\":25}", "END -111|"));
}

static void
test_the_clock_is_set_with_entropy_behind_it(void **state)
{
	static const uint8_t expected[] = { VMM_GUEST_CLOCK_SYNC, 14, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0,
		0, 5, 0, 0, 0, 'h', 'i' };

	(void)state;
	vmm_guest_free(ask("CLOCK_SYNC", "{\"unix_ns\":2000000005,\"entropy\":\"aGk=\"}"));
	assert_int_equal(asked_len, sizeof(expected));
	assert_memory_equal(asked, expected, sizeof(expected));
}

/* ---- files ------------------------------------------------------------------- */

static void
test_files_come_and_their_errors(void **state)
{
	struct vmm_guest *guest;

	(void)state;
	say(VMM_GUEST_FILE_DATA, "some");
	say(VMM_GUEST_FILE_DATA, " bytes");
	say(VMM_GUEST_FILE_DONE, "ignored");
	vmm_guest_free(comes_to("FILE_READ_REQ", "{\"path\":\"/x\"}", "DATA some bytes|END 0|"));
	script_len = 0;
	say(VMM_GUEST_FILE_DATA, "some");
	say(VMM_GUEST_FILE_ERR, "EIO: /x");
	guest = comes_to("FILE_READ_REQ", "{\"path\":\"/x\"}", "DATA some|END -5|");
	assert_string_equal(vmm_guest_error_text(guest), "EIO: /x");
	vmm_guest_free(guest);
	script_len = 0;
	say(VMM_GUEST_FILE_LIST, "[{\"name\":\"a\"},{\"name\":\"b\"}]");
	vmm_guest_free(comes_to("FILE_LIST_REQ", "{\"path\":\"/x\"}",
	    "ENTRY [{\"name\":\"a\"},{\"name\":\"b\"}]|END 0|"));
	script_len = 0;
	say(VMM_GUEST_FILE_ACK, "");
	vmm_guest_free(comes_to("FILE_REMOVE_REQ", "{\"path\":\"/x\"}", "END 0|"));
}

/* Who waits until the result is another than that would wait for ever. */
static void
test_no_word_of_a_guest_says_that_what_has_ended_is_under_way(void **state)
{
	struct vmm_guest *guest;

	(void)state;
	say(VMM_GUEST_FILE_ERR, "EALREADY: /x");
	guest = comes_to("FILE_READ_REQ", "{\"path\":\"/x\"}", "END -121|");
	assert_string_equal(vmm_guest_refusal(guest), "EALREADY: /x");
	vmm_guest_free(guest);
	script_len = 0;
	say(VMM_GUEST_STDERR, "EALREADY: so it says");
	say_exit(-1, 0);
	vmm_guest_free(comes_to("START", "{\"cmd\":[\"x\"]}", "END -121|"));
	script_len = 0;
	say(VMM_GUEST_STDERR, "EALREADY: so it says");
	say_exit(1, 0);
	vmm_guest_free(comes_to("STATUS_REQ", NULL, "END -121|"));
}

static void
test_a_tree_comes_file_by_file(void **state)
{
	(void)state;
	say(VMM_GUEST_FILE_STAT, "{\"path\":\"\"}");
	say(VMM_GUEST_FILE_STAT, "{\"path\":\"a\"}");
	say(VMM_GUEST_FILE_DATA, "one");
	say(VMM_GUEST_FILE_DONE, "");
	say(VMM_GUEST_FILE_ACK, "");
	vmm_guest_free(comes_to("FILE_TREE_REQ", "{\"path\":\"/x\"}",
	    "ENTRY {\"path\":\"\"}|ENTRY {\"path\":\"a\"}|DATA one|DATA|END 0|"));
}

static void
test_a_watch_stands_and_tells(void **state)
{
	(void)state;
	say(VMM_GUEST_FILE_ACK, "");
	say(VMM_GUEST_FILE_EVENT, "{\"kind\":\"created\"}");
	say(VMM_GUEST_FILE_ERR, "ENOENT: /x");
	vmm_guest_free(comes_to(
	    "FILE_WATCH_REQ", "{\"path\":\"/x\"}", "READY|CHANGE {\"kind\":\"created\"}|END -2|"));
}

static void
test_file_err_amid_an_upload_ends_it_at_once(void **state)
{
	struct vmm_guest *guest = ask("FILE_WRITE_REQ", "{\"path\":\"/x\"}");

	(void)state;
	assert_int_equal(vmm_guest_write(guest, "some", 4), 4);
	say(VMM_GUEST_FILE_ERR, "ENOSPC: /x");
	hear_all(guest);
	assert_string_equal(events, "END -28|");
	assert_int_equal(vmm_guest_write(guest, "more", 4), -EPIPE);
	assert_int_equal(vmm_guest_eof(guest), 0);
	vmm_guest_free(guest);
}

static void
test_an_upload_is_data_and_done(void **state)
{
	struct vmm_guest *guest = ask("FILE_WRITE_REQ", "{\"path\":\"/x\"}");
	size_t at = asked_len;

	(void)state;
	assert_int_equal(vmm_guest_write(guest, "some", 4), 4);
	assert_int_equal(vmm_guest_eof(guest), 0);
	assert_int_equal(vmm_guest_write(guest, "more", 4), -EINVAL);
	go_on(guest);
	assert_int_equal(asked_len - at, 14);
	assert_memory_equal(asked + at, "\x21\4\0\0\0some\x22\0\0\0\0", 14);
	say(VMM_GUEST_FILE_ACK, "");
	hear_all(guest);
	assert_string_equal(events, "END 0|");
	vmm_guest_free(guest);
}

/* ---- several requests on one connection ----------------------------------------- */

#define STAT_MORE "{\"path\":\"/x\",\"more\":true}"

static void
test_a_connection_is_kept_for_the_next_request(void **state)
{
	struct vmm_guest *guest = ask("FILE_STAT_REQ", STAT_MORE);

	(void)state;
	say(VMM_GUEST_FILE_STAT, "{\"name\":\"x\"}");
	hear_all(guest);
	assert_int_equal(vmm_guest_timeout_ms(guest), -1);
	asked_len = 0;
	assert_int_equal(vmm_guest_begin(guest, "FILE_REMOVE_REQ", "{\"path\":\"/x\"}"), 0);
	assert_null(vmm_guest_answer(guest));
	go_on(guest);
	assert_memory_equal(asked, "\x27\x0d\0\0\0{\"path\":\"/x\"}", 18);
	say(VMM_GUEST_FILE_ACK, "");
	hear_all(guest);
	assert_int_equal(connects, 1);
	/* That one said nothing of others. */
	assert_int_equal(vmm_guest_begin(guest, "FILE_STAT_REQ", "{\"path\":\"/x\"}"), 0);
	go_on(guest);
	assert_int_equal(connects, 2);
	assert_string_equal(events, "ENTRY {\"name\":\"x\"}|END 0|END 0|");
	vmm_guest_free(guest);
}

/* An upload, a removal and a download, sent ahead. */
static struct vmm_guest *
send_ahead(void)
{
	struct vmm_guest *guest = ask("FILE_WRITE_REQ", STAT_MORE);

	assert_int_equal(vmm_guest_write(guest, "some", 4), 4);
	assert_int_equal(vmm_guest_begin(guest, "FILE_REMOVE_REQ", STAT_MORE), -EALREADY);
	assert_int_equal(vmm_guest_eof(guest), 0);
	asked_len = 0;
	assert_int_equal(vmm_guest_begin(guest, "FILE_REMOVE_REQ", STAT_MORE), 0);
	assert_int_equal(vmm_guest_write(guest, "more", 4), -EINVAL);
	assert_int_equal(vmm_guest_begin(guest, "FILE_READ_REQ", "{\"path\":\"/y\"}"), 0);
	go_on(guest);
	return guest;
}

static void
test_requests_that_are_sent_ahead_are_answered_in_order(void **state)
{
	(void)state;
	say(VMM_GUEST_FILE_ACK, "");
	say(VMM_GUEST_FILE_ERR, "ENOENT: /x");
	say(VMM_GUEST_FILE_DATA, "bytes");
	say(VMM_GUEST_FILE_DONE, "");
	for (size_t cut = 0; cut <= script_len; cut++) {
		struct vmm_guest *guest;

		asked_len = 0;
		events[0] = '\0';
		connects = 0;
		guest = send_ahead();
		assert_int_equal(asked_len, 9 + 5 + 5 + 25 + 5 + 13);
		assert_memory_equal(asked, "\x21\4\0\0\0some\x22\0\0\0\0\x27\x19\0\0\0", 19);
		hear(guest, 0, cut);
		hear(guest, cut, script_len - cut);
		assert_string_equal(events, "END 0|END -2|DATA bytes|END 0|");
		assert_int_equal(connects, 1);
		vmm_guest_free(guest);
	}
}

static void
test_what_was_sent_ahead_and_not_begun_ends_so(void **state)
{
	struct vmm_guest *guest = send_ahead();

	(void)state;
	say(VMM_GUEST_FILE_ACK, "");
	hear_all(guest);
	assert_int_equal(vmm_guest_result(guest), 0);
	vmm_guest_hangup(guest, 0);
	go_on(guest);
	assert_string_equal(events, "END 0|END -103|END -103|");
	assert_int_equal(vmm_guest_error(guest), -ECONNABORTED);
	/* Amid an answer: that one may have been carried out. */
	begin(NULL);
	vmm_guest_free(guest);
	guest = send_ahead();
	say(VMM_GUEST_FILE_ACK, "");
	say(VMM_GUEST_FILE_ERR, "ENOENT: /x");
	hear(guest, 0, script_len - 1);
	vmm_guest_hangup(guest, 0);
	go_on(guest);
	assert_string_equal(events, "END 0|END -104|END -103|");
	vmm_guest_free(guest);
	/* A part of the file has come. */
	begin(NULL);
	guest = ask("FILE_STAT_REQ", STAT_MORE);
	assert_int_equal(vmm_guest_begin(guest, "FILE_READ_REQ", STAT_MORE), 0);
	go_on(guest);
	say(VMM_GUEST_FILE_STAT, "{}");
	say(VMM_GUEST_FILE_DATA, "half");
	hear_all(guest);
	vmm_guest_hangup(guest, ECONNRESET);
	go_on(guest);
	assert_string_equal(events, "ENTRY {}|END 0|DATA half|END -104|");
	vmm_guest_free(guest);
}

static void
test_a_removal_whose_connection_was_reset_is_not_done_twice(void **state)
{
	struct vmm_guest *guest = send_ahead();

	(void)state;
	say(VMM_GUEST_FILE_ACK, "");
	hear_all(guest);
	vmm_guest_hangup(guest, ECONNRESET);
	go_on(guest);
	assert_string_equal(events, "END 0|END -104|END -103|");
	vmm_guest_free(guest);
	/* Alone, on a connection that was kept. */
	begin(NULL);
	guest = ask("FILE_STAT_REQ", STAT_MORE);
	say(VMM_GUEST_FILE_STAT, "{}");
	hear_all(guest);
	assert_int_equal(vmm_guest_begin(guest, "FILE_REMOVE_REQ", STAT_MORE), 0);
	go_on(guest);
	vmm_guest_hangup(guest, ECONNRESET);
	go_on(guest);
	assert_string_equal(events, "ENTRY {}|END 0|END -104|");
	assert_int_equal(connects, 1);
	vmm_guest_free(guest);
}

static void
test_a_name_that_is_more_hides_no_member(void **state)
{
	struct vmm_guest *guest =
	    ask("FILE_SYMLINK_REQ", "{\"path\":\"/x\",\"target\":\"more\",\"more\":true}");

	(void)state;
	assert_int_equal(vmm_guest_begin(guest, "FILE_STAT_REQ", "{\"path\":\"more\"}"), 0);
	go_on(guest);
	say(VMM_GUEST_FILE_ACK, "");
	say(VMM_GUEST_FILE_STAT, "{}");
	hear_all(guest);
	assert_string_equal(events, "END 0|ENTRY {}|END 0|");
	assert_int_equal(vmm_guest_begin(guest, "FILE_STAT_REQ", "{\"path\":\"/x\"}"), 0);
	go_on(guest);
	assert_int_equal(connects, 2);
	vmm_guest_free(guest);
}

static void
test_an_agent_that_takes_no_upload_is_not_waited_for_though_others_stand_behind(void **state)
{
	struct vmm_guest *guest = vmm_guest_new(NULL);
	const void *data;
	size_t len;

	(void)state;
	assert_int_equal(vmm_guest_set(guest, "answer_ms", 600000), 0);
	assert_int_equal(vmm_guest_begin(guest, "FILE_WRITE_REQ", STAT_MORE), 0);
	assert_int_equal(vmm_guest_next(guest, &data, &len), VMM_GUEST_EVENT_CONNECT);
	vmm_guest_sent(guest, vmm_guest_pending(guest, &data));
	/* Nobody sends what is pending from here on. */
	assert_int_equal(vmm_guest_write(guest, "some", 4), 4);
	assert_int_equal(vmm_guest_eof(guest), 0);
	assert_int_equal(vmm_guest_begin(guest, "FILE_STAT_REQ", STAT_MORE), 0);
	assert_true(vmm_guest_timeout_ms(guest) >= 0);
	vmm_guest_free(guest);
}

static void
test_an_answer_to_what_was_not_asked_is_none(void **state)
{
	static const uint8_t kinds[] = { VMM_GUEST_FILE_STAT, VMM_GUEST_FILE_DONE,
		VMM_GUEST_FILE_DATA, VMM_GUEST_FILE_LIST, VMM_GUEST_FILE_EVENT, VMM_GUEST_STDOUT,
		0xee };
	struct vmm_guest *guest;

	(void)state;
	for (size_t i = 0; i < sizeof(kinds); i++) {
		script_len = 0;
		say(kinds[i], "{}");
		vmm_guest_free(comes_to("FILE_REMOVE_REQ", STAT_MORE, "END -71|"));
	}
	/* An upload that has not come whole. */
	begin(NULL);
	guest = ask("FILE_WRITE_REQ", STAT_MORE);
	assert_int_equal(vmm_guest_write(guest, "some", 4), 4);
	go_on(guest);
	say(VMM_GUEST_FILE_ACK, "");
	hear_all(guest);
	assert_string_equal(events, "END -71|");
	vmm_guest_free(guest);
	/* A second one, that has come with the first. */
	begin(NULL);
	guest = ask("FILE_REMOVE_REQ", STAT_MORE);
	say(VMM_GUEST_FILE_ACK, "");
	say(VMM_GUEST_FILE_ACK, "");
	assert_int_equal(vmm_guest_feed(guest, script, script_len), script_len);
	go_on(guest);
	assert_int_equal(vmm_guest_begin(guest, "FILE_REMOVE_REQ", STAT_MORE), 0);
	go_on(guest);
	assert_string_equal(events, "END 0|END -71|");
	vmm_guest_free(guest);
	/* Of a worker that is lost behind its last answer, before the next one was sent. */
	begin(NULL);
	guest = ask("FILE_STAT_REQ", STAT_MORE);
	say(VMM_GUEST_FILE_STAT, "{}");
	hear_all(guest);
	assert_int_equal(vmm_guest_begin(guest, "FILE_REMOVE_REQ", STAT_MORE), 0);
	say(VMM_GUEST_FILE_ERR, "EIO: worker lost");
	hear_all(guest);
	go_on(guest);
	assert_int_equal(connects, 2);
	say(VMM_GUEST_FILE_ACK, "");
	hear_all(guest);
	assert_string_equal(events, "ENTRY {}|END 0|END 0|");
	vmm_guest_free(guest);
}

static void
test_a_request_whose_connection_was_just_given_back_is_made_again(void **state)
{
	struct vmm_guest *guest = ask("FILE_STAT_REQ", STAT_MORE);

	(void)state;
	say(VMM_GUEST_FILE_STAT, "{}");
	hear_all(guest);
	assert_int_equal(vmm_guest_begin(guest, "FILE_REMOVE_REQ", STAT_MORE), 0);
	go_on(guest);
	asked_len = 0;
	vmm_guest_hangup(guest, 0);
	go_on(guest);
	assert_int_equal(connects, 2);
	assert_int_equal(asked_len, 5 + 25);
	/* Of one that has not answered yet nobody knows. */
	vmm_guest_hangup(guest, ECONNRESET);
	go_on(guest);
	assert_string_equal(events, "ENTRY {}|END 0|END -104|");
	/* One that was given back while nothing was under way is not tried. */
	script_len = 0;
	assert_int_equal(vmm_guest_begin(guest, "FILE_STAT_REQ", STAT_MORE), 0);
	go_on(guest);
	say(VMM_GUEST_FILE_STAT, "{}");
	hear_all(guest);
	vmm_guest_hangup(guest, 0);
	assert_int_equal(vmm_guest_timeout_ms(guest), -1);
	assert_int_equal(vmm_guest_begin(guest, "FILE_WRITE_REQ", STAT_MORE), 0);
	go_on(guest);
	assert_int_equal(connects, 4);
	vmm_guest_free(guest);
}

static void
test_an_upload_that_is_refused_on_its_way_is_sent_to_its_end(void **state)
{
	struct vmm_guest *guest = ask("FILE_WRITE_REQ", STAT_MORE);

	(void)state;
	assert_int_equal(vmm_guest_write(guest, "some", 4), 4);
	go_on(guest);
	say(VMM_GUEST_FILE_ERR, "ENOSPC: /x");
	hear_all(guest);
	assert_int_equal(vmm_guest_write(guest, "more", 4), -EPIPE);
	assert_memory_equal(asked + asked_len - 14, "\x21\4\0\0\0some\x22\0\0\0\0", 14);
	assert_int_equal(vmm_guest_begin(guest, "FILE_STAT_REQ", STAT_MORE), 0);
	go_on(guest);
	assert_string_equal(events, "END -28|");
	assert_int_equal(connects, 1);
	vmm_guest_free(guest);
}

static void
test_no_more_is_sent_ahead_than_there_is_room_for(void **state)
{
	struct vmm_guest *guest = vmm_guest_new(NULL);
	int begun = 0;
	int r;

	(void)state;
	assert_int_equal(vmm_guest_begin(guest, "FILE_STAT_REQ", STAT_MORE), 0);
	assert_int_equal(vmm_guest_begin(guest, "FILE_STAT_REQ", STAT_MORE), -EAGAIN);
	go_on(guest);
	/* There are as many as fit, and then again; but the handle does not take all of them. */
	for (int i = 0; i < 2; i++) {
		while ((r = vmm_guest_begin(guest, "FILE_STAT_REQ", STAT_MORE)) == 0)
			begun++;
		assert_int_equal(r, -EAGAIN);
		asked_len = 0;
		go_on(guest);
	}
	assert_in_range(begun, 1000, 2000);
	assert_int_equal(vmm_guest_begin(guest, "FILE_WATCH_REQ", "{\"path\":\"/x\"}"), -EALREADY);
	assert_int_equal(vmm_guest_begin(guest, "STATUS_REQ", NULL), -EALREADY);
	vmm_guest_abort(guest);
	assert_int_equal(vmm_guest_result(guest), -ECANCELED);
	go_on(guest);
	assert_string_equal(events, "");
	assert_int_equal(vmm_guest_begin(guest, "STATUS_REQ", NULL), 0);
	vmm_guest_free(guest);
}

static void
test_a_file_is_read_to_where_it_is_sent_from_and_its_holes_are_told(void **state)
{
	static const char expected[] = "\x32\x0e\0\0\0{\"hole\":65536}\x21\3\0\0\0end";
	struct vmm_guest *guest = ask("FILE_WRITE_REQ", "{\"path\":\"/x\"}");
	char path[] = "/tmp/library.XXXXXX";
	int fd = mkstemp(path);
	int64_t n;
	int64_t total = 0;

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(pwrite(fd, "end", 3, 65536), 3);
	asked_len = 0;
	while ((n = vmm_guest_write_fd(guest, fd, 1)) > 0)
		total += n;
	assert_int_equal(n, 0);
	assert_int_equal(total, 65539);
	go_on(guest);
	/* A file system that tells of no holes has data alone. */
	if (asked_len < 65536)
		assert_memory_equal(asked, expected, sizeof(expected) - 1);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	asked_len = 0;
	assert_int_equal(pwrite(fd, "end", 3, 300000), 3);
	assert_int_equal(vmm_guest_write_fd(guest, fd, 0), VMM_GUEST_DATA_MAX);
	assert_int_equal(vmm_guest_write_fd(guest, fd, 0), -EAGAIN);
	go_on(guest);
	assert_memory_equal(asked, "\x21\0\0\4\0", 5);
	assert_int_equal(asked_len, 5 + VMM_GUEST_DATA_MAX);
	assert_int_equal(vmm_guest_write_fd(guest, -1, 0), -EBADF);
	assert_int_equal(close(fd), 0);
	vmm_guest_free(guest);
	guest = ask("STATUS_REQ", "");
	assert_int_equal(vmm_guest_write_fd(guest, 0, 0), -EINVAL);
	vmm_guest_free(guest);
}

/* ---- the handshake ------------------------------------------------------------ */

static const char shaken[] = "CONNECT 52\n\x40\0\0\0\0";

/* LEN: how much of that goes before the answer. */
static struct vmm_guest *
shake(int retry_ms, size_t len)
{
	struct vmm_guest *guest = vmm_guest_new(NULL);

	assert_non_null(guest);
	assert_int_equal(vmm_guest_set(guest, "handshake", 1), 0);
	assert_int_equal(vmm_guest_set(guest, "retry_ms", retry_ms), 0);
	assert_int_equal(vmm_guest_begin(guest, "STATUS_REQ", NULL), 0);
	go_on(guest);
	assert_int_equal(asked_len, len);
	assert_memory_equal(asked, shaken, len);
	return guest;
}

/* Its answer may be cut anywhere; all that is sent is sent once. */
static void
check_shakes(int retry_ms, size_t ahead)
{
	say_bytes("OK 1073741824\n", 14);
	say(VMM_GUEST_STATUS, "{}");
	say_exit(0, 0);
	for (size_t cut = 0; cut <= script_len; cut++) {
		struct vmm_guest *guest;

		asked_len = 0;
		events[0] = '\0';
		guest = shake(retry_ms, ahead);
		hear(guest, 0, cut);
		if (cut < 14)
			assert_int_equal(asked_len, ahead);
		hear(guest, cut, script_len - cut);
		assert_string_equal(events, "STATUS {}|END 0|");
		vmm_guest_free(guest);
	}
}

static void
test_the_request_goes_with_the_handshake(void **state)
{
	(void)state;
	check_shakes(0, sizeof(shaken) - 1);
}

static void
test_what_may_be_tried_again_waits_for_the_devices_answer(void **state)
{
	(void)state;
	check_shakes(600000, 11);
}

/* Also of what was held for it: as yet nobody has it. */
static void
test_input_waits_for_the_device(void **state)
{
	struct vmm_guest *guest = vmm_guest_new(NULL);

	(void)state;
	assert_int_equal(vmm_guest_set(guest, "handshake", 1), 0);
	assert_int_equal(vmm_guest_begin(guest, "START", "{\"cmd\":[\"x\"]}"), 0);
	assert_int_equal(vmm_guest_room(guest), 0);
	go_on(guest);
	assert_int_equal(vmm_guest_write(guest, "in", 2), 0);
	say_bytes("OK 1\n", 5);
	hear_all(guest);
	assert_int_equal(vmm_guest_write(guest, "in", 2), 2);
	vmm_guest_free(guest);
}

static void
test_a_device_in_whose_guest_nobody_listens_hangs_up(void **state)
{
	static const int errors[] = { 0, ECONNRESET, EPIPE };
	struct vmm_guest *guest;

	(void)state;
	/* A request that it has not read is what resets the connection. */
	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		begin(NULL);
		guest = shake(0, sizeof(shaken) - 1);
		vmm_guest_hangup(guest, errors[i]);
		go_on(guest);
		assert_string_equal(events, "END -111|");
		vmm_guest_free(guest);
	}
	begin(NULL);
	guest = shake(0, sizeof(shaken) - 1);
	say_bytes("220 mail ready\n", 15);
	hear_all(guest);
	assert_string_equal(events, "END -71|");
	vmm_guest_free(guest);
}

static void
test_it_is_tried_again_while_nobody_listens(void **state)
{
	struct vmm_guest *guest = vmm_guest_new(NULL);
	const void *data;
	size_t len;

	(void)state;
	assert_int_equal(vmm_guest_set(guest, "retry_ms", 600000), 0);
	assert_int_equal(vmm_guest_begin(guest, "STATUS_REQ", NULL), 0);
	for (int i = 0; i < 3; i++) {
		enum vmm_guest_event event;

		do {
			assert_true(vmm_guest_timeout_ms(guest) >= 0);
			event = vmm_guest_next(guest, &data, &len);
		} while (event == VMM_GUEST_EVENT_NONE);
		assert_int_equal(event, VMM_GUEST_EVENT_CONNECT);
		vmm_guest_hangup(guest, ECONNREFUSED);
	}
	assert_int_equal(vmm_guest_error(guest), 0);
	vmm_guest_free(guest);
}

#define DURABLE "{\"cmd\":[\"x\"],\"name\":\"s\",\"durable\":{}}"

/* ---- input --------------------------------------------------------------------- */

static void
test_input_is_taken_as_far_as_there_is_room_and_signals_overtake_it(void **state)
{
	static uint8_t much[600000];
	struct vmm_guest *guest = ask("START", "{\"cmd\":[\"x\"]}");
	const void *data;
	size_t len;
	int taken;

	(void)state;
	asked_len = 0;
	taken = vmm_guest_write(guest, much, sizeof(much));
	assert_in_range(taken, 1, sizeof(much) - 1);
	assert_int_equal(vmm_guest_room(guest), 0);
	assert_int_equal(vmm_guest_write(guest, much, 1), 0);
	assert_int_equal(vmm_guest_signal(guest, 15), 0);
	assert_int_equal(vmm_guest_resize(guest, 100, 50), 0);
	go_on(guest);
	assert_int_equal(vmm_guest_resize(guest, 90, 40), 0);
	assert_int_equal(vmm_guest_write(guest, "behind", 6), 6);
	go_on(guest);
	len = VMM_GUEST_HEADER_LEN + (size_t)taken;
	assert_memory_equal(asked + len,
	    "\x07\4\0\0\0\x0f\0\0\0\x03\4\0\0\0d\0\x32\0\x03\4\0\0\0Z\0(\0\x02\6\0\0\0behind", 29);
	assert_int_equal(vmm_guest_pending(guest, &data), 0);
	vmm_guest_free(guest);
}

/* Of a session that ends with its connection, and of one that has its input kept. */
static void
check_input_of_a_descriptor(const char *json, const char *started, size_t frame)
{
	struct vmm_guest *guest = ask("START", json);
	int fds[2];

	say(VMM_GUEST_STATUS, started);
	hear_all(guest);
	assert_int_equal(pipe2(fds, O_NONBLOCK), 0);
	assert_int_equal(vmm_guest_write_fd(guest, fds[0], 0), -EAGAIN);
	assert_int_equal(write(fds[1], "typed", 5), 5);
	asked_len = 0;
	assert_int_equal(vmm_guest_signal(guest, 15), 0);
	assert_int_equal(vmm_guest_write_fd(guest, fds[0], 1), -EINVAL);
	assert_int_equal(vmm_guest_write_fd(guest, fds[0], 0), 5);
	go_on(guest);
	assert_memory_equal(asked, "\x07\4\0\0\0\x0f\0\0\0\2\5\0\0\0typed", frame);
	assert_int_equal(asked_len, frame);
	assert_int_equal(close(fds[1]), 0);
	assert_int_equal(vmm_guest_write_fd(guest, fds[0], 0), 0);
	assert_int_equal(vmm_guest_eof(guest), 0);
	assert_int_equal(vmm_guest_write_fd(guest, fds[0], 0), -EINVAL);
	assert_int_equal(close(fds[0]), 0);
	vmm_guest_free(guest);
}

static void
test_a_program_s_input_may_be_read_from_a_descriptor(void **state)
{
	(void)state;
	check_input_of_a_descriptor("{\"cmd\":[\"x\"]}", STARTED, 19);
	begin(NULL);
	check_input_of_a_descriptor(DURABLE, STARTED_DURABLE, 19);
}

static void
test_an_end_of_input_goes_with_the_start(void **state)
{
	struct vmm_guest *guest = vmm_guest_new(NULL);
	const void *data;
	size_t len;

	(void)state;
	assert_int_equal(vmm_guest_begin(guest, "START", "{\"cmd\":[\"x\"]}"), 0);
	assert_int_equal(vmm_guest_next(guest, &data, &len), VMM_GUEST_EVENT_CONNECT);
	assert_int_equal(vmm_guest_eof(guest), 0);
	len = vmm_guest_pending(guest, &data);
	assert_memory_equal(
	    data, "\x01\x1b\0\0\0{\"report\":true,\"cmd\":[\"x\"]}\x04\0\0\0\0", 37);
	assert_int_equal(len, 37);
	vmm_guest_free(guest);
}

/* ---- durable sessions ------------------------------------------------------------ */

/* One that has started, of which "hello" came and which was sent "0123456789". */
static struct vmm_guest *
start_durable(void)
{
	struct vmm_guest *guest = ask("START", DURABLE);

	say(VMM_GUEST_STATUS, STARTED_DURABLE);
	say(VMM_GUEST_STDOUT, "hello");
	hear_all(guest);
	assert_int_equal(vmm_guest_write(guest, "0123456789", 10), 10);
	go_on(guest);
	assert_int_equal(vmm_guest_offset(guest), 5);
	return guest;
}

/* Waits until it has another connection. */
static void
come_back(struct vmm_guest *guest)
{
	enum vmm_guest_event event;
	const void *data;
	size_t len;

	asked_len = 0;
	vmm_guest_hangup(guest, ECONNRESET);
	while ((event = vmm_guest_next(guest, &data, &len)) == VMM_GUEST_EVENT_NONE ||
	       event == VMM_GUEST_EVENT_LOST)
		assert_true(vmm_guest_timeout_ms(guest) >= 0);
	assert_int_equal(event, VMM_GUEST_EVENT_CONNECT);
	go_on(guest);
}

static void
test_a_durable_session_is_come_back_to_where_both_sides_were(void **state)
{
	static const char attach[] = "{\"session\":3,\"instance\":\"" INSTANCE "\",\"from\":5";
	struct vmm_guest *guest = start_durable();

	(void)state;
	come_back(guest);
	assert_int_equal(asked[0], VMM_GUEST_ATTACH);
	assert_memory_equal(asked + VMM_GUEST_HEADER_LEN, attach, sizeof(attach) - 1);
	asked_len = 0;
	events[0] = '\0';
	say(VMM_GUEST_STATUS, ATTACHED(5, 4, true));
	say(VMM_GUEST_STDOUT, " world");
	hear_all(guest);
	assert_memory_equal(asked,
	    "\x02\6\0\0\0"
	    "456789",
	    11);
	assert_int_equal(asked_len, 11);
	say_exit(7, 0);
	hear_all(guest);
	assert_string_equal(events, "STATUS " ATTACHED(5, 4, true) "|STDOUT  world|END 7|");
	vmm_guest_free(guest);
}

static void
test_output_is_acknowledged_once_the_caller_is_done_with_it(void **state)
{
	static uint8_t much[VMM_GUEST_HEADER_LEN + 40000];
	struct vmm_guest *guest = start_durable();
	const void *data;
	size_t len;

	(void)state;
	frame_header_format(much, VMM_GUEST_STDOUT, sizeof(much) - VMM_GUEST_HEADER_LEN);
	asked_len = 0;
	assert_int_equal(vmm_guest_feed(guest, much, sizeof(much)), sizeof(much));
	assert_int_equal(vmm_guest_next(guest, &data, &len), VMM_GUEST_EVENT_STDOUT);
	assert_int_equal(vmm_guest_pending(guest, &data), 0);
	go_on(guest);
	assert_memory_equal(asked, "\x4b\x08\0\0\0\x45\x9c\0\0\0\0\0\0", 13);
	assert_int_equal(asked_len, 13);
	vmm_guest_free(guest);
}

/* Nobody has an offset that no file could have; who says one is not acknowledged for ever. */
static void
test_what_is_sent_has_an_end_whatever_offset_a_session_tells(void **state)
{
	static const char *const told[] = {
		"{\"event\":\"lost\",\"offset\":18446744073709551615,\"lost\":1}",
		"{\"event\":\"lost\",\"offset\":18446744073709551000,\"lost\":1}",
		"{\"event\":\"lost\",\"offset\":9223372036854775807,\"lost\":1}",
		ATTACHED(18446744073709518847, 0, true),
		ATTACHED(18446744073709551615, 18446744073709551615, true),
	};

	(void)state;
	for (size_t i = 0; i < sizeof(told) / sizeof(told[0]); i++) {
		struct vmm_guest *guest = start_durable();

		asked_len = 0;
		say(VMM_GUEST_STATUS, told[i]);
		say(VMM_GUEST_STDOUT, "more");
		hear_all(guest);
		assert_true(asked_len < 100);
		vmm_guest_free(guest);
	}
}

static void
test_coming_back_is_given_up_in_time_and_in_words(void **state)
{
	struct vmm_guest *guest = vmm_guest_new(NULL);
	const void *data;
	size_t len;

	(void)state;
	assert_int_equal(vmm_guest_set(guest, "reconnect_ms", 1), 0);
	assert_int_equal(vmm_guest_begin(guest, "START", DURABLE), 0);
	go_on(guest);
	say(VMM_GUEST_STATUS, STARTED_DURABLE);
	hear_all(guest);
	vmm_guest_hangup(guest, ECONNRESET);
	assert_int_equal(vmm_guest_next(guest, &data, &len), VMM_GUEST_EVENT_LOST);
	while (vmm_guest_result(guest) == -EALREADY)
		(void)vmm_guest_next(guest, &data, &len);
	assert_int_equal(vmm_guest_result(guest), -ECONNRESET);
	assert_string_equal(vmm_guest_error_text(guest),
	    "could not come back to session 's' within 0.001 s: Connection reset by peer");
	vmm_guest_free(guest);
}

static void
test_a_lost_worker_of_a_durable_session_means_come_back(void **state)
{
	struct vmm_guest *guest = start_durable();

	(void)state;
	come_back(guest);
	say(VMM_GUEST_STATUS, ATTACHED(5, 10, true));
	say(VMM_GUEST_STATUS, "{\"event\":\"detached\",\"why\":\"worker lost\"}");
	events[0] = '\0';
	hear_all(guest);
	assert_string_equal(events,
	    "STATUS " ATTACHED(
		5, 10, true) "|STATUS {\"event\":\"detached\",\"why\":\"worker lost\"}|LOST the "
			     "agent closed the connection|");
	assert_int_equal(vmm_guest_result(guest), -EALREADY);
	come_back(guest);
	say(VMM_GUEST_STDERR, "ESRCH: there is no session 3\n");
	say_exit(125, 0);
	hear_all(guest);
	assert_int_equal(vmm_guest_result(guest), -ESRCH);
	vmm_guest_free(guest);
}

static void
test_input_that_is_not_kept_any_more_is_told(void **state)
{
	static uint8_t much[64 * 1024];
	struct vmm_guest *guest = start_durable();

	(void)state;
	for (int i = 0; i < 100; i++) {
		asked_len = 0;
		assert_int_equal(vmm_guest_write(guest, much, sizeof(much)), sizeof(much));
		go_on(guest);
	}
	come_back(guest);
	say(VMM_GUEST_STATUS, ATTACHED(5, 4, true));
	hear_all(guest);
	assert_int_equal(vmm_guest_result(guest), -ENODATA);
	vmm_guest_free(guest);
}

static void
test_a_durable_session_is_left_behind_its_input(void **state)
{
	struct vmm_guest *guest = start_durable();

	(void)state;
	asked_len = 0;
	events[0] = '\0';
	assert_int_equal(vmm_guest_write(guest, "x", 1), 1);
	assert_int_equal(vmm_guest_detach(guest), 0);
	go_on(guest);
	assert_memory_equal(asked, "\x02\1\0\0\0x\x46\0\0\0\0", 11);
	assert_int_equal(asked_len, 11);
	/* The connection is lost before the agent has said that it has all of it. */
	come_back(guest);
	asked_len = 0;
	say(VMM_GUEST_STATUS, ATTACHED(5, 10, true));
	hear_all(guest);
	assert_memory_equal(asked, "\x02\1\0\0\0x\x46\0\0\0\0", 11);
	events[0] = '\0';
	say(VMM_GUEST_STATUS, "{\"event\":\"detached\",\"offset\":5}");
	hear_all(guest);
	assert_string_equal(events, "STATUS {\"event\":\"detached\",\"offset\":5}|LEFT|");
	assert_int_equal(vmm_guest_result(guest), 0);
	vmm_guest_free(guest);
}

static void
test_a_session_that_is_not_known_to_run_is_not_come_back_to(void **state)
{
	struct vmm_guest *guest = ask("START", DURABLE);

	(void)state;
	vmm_guest_hangup(guest, ECONNRESET);
	go_on(guest);
	assert_string_equal(events, "END -104|");
	vmm_guest_free(guest);
}

/* ---- limits, and misuse ------------------------------------------------------------ */

static void
test_an_agent_that_hangs_is_not_waited_for(void **state)
{
	struct vmm_guest *guest = vmm_guest_new(NULL);

	(void)state;
	assert_int_equal(vmm_guest_set(guest, "answer_ms", 1), 0);
	assert_int_equal(vmm_guest_begin(guest, "START", "{\"cmd\":[\"x\"]}"), 0);
	while (vmm_guest_result(guest) == -EALREADY)
		go_on(guest);
	assert_string_equal(events, "END -110|");
	vmm_guest_free(guest);
}

static void
test_a_program_that_is_silent_is_waited_for(void **state)
{
	struct vmm_guest *guest = vmm_guest_new(NULL);

	(void)state;
	assert_int_equal(vmm_guest_set(guest, "answer_ms", 600000), 0);
	assert_int_equal(vmm_guest_begin(guest, "START", "{\"cmd\":[\"x\"]}"), 0);
	go_on(guest);
	assert_true(vmm_guest_timeout_ms(guest) >= 0);
	say(VMM_GUEST_STATUS, STARTED);
	hear_all(guest);
	assert_int_equal(vmm_guest_timeout_ms(guest), -1);
	vmm_guest_free(guest);
}

static void
test_silence_before_an_answer_is_told_once_and_ends_it_in_time(void **state)
{
	struct vmm_guest *guest = shake(0, sizeof(shaken) - 1);

	(void)state;
	say_bytes("OK 1073741824\n", 14);
	hear_all(guest);
	vmm_guest_abort(guest);
	assert_int_equal(vmm_guest_set(guest, "quiet_ms", 1), 0);
	assert_int_equal(vmm_guest_begin(guest, "WAIT_PORT", "{\"port\":80}"), 0);
	events[0] = '\0';
	while (events[0] == '\0')
		go_on(guest);
	assert_int_equal(vmm_guest_timeout_ms(guest), -1);
	go_on(guest);
	assert_string_equal(events, "QUIET|");
	vmm_guest_abort(guest);
	assert_int_equal(vmm_guest_set(guest, "quiet_ms", 0), 0);
	assert_int_equal(vmm_guest_set(guest, "first_ms", 1), 0);
	assert_int_equal(vmm_guest_begin(guest, "WAIT_PORT", "{\"port\":80}"), 0);
	events[0] = '\0';
	while (vmm_guest_result(guest) == -EALREADY)
		go_on(guest);
	assert_string_equal(events, "END -62|");
	assert_int_equal(vmm_guest_reached(guest), VMM_GUEST_REACHED_DEVICE);
	vmm_guest_free(guest);
}

static void
test_silence_amid_an_answer_is_not_looked_at(void **state)
{
	struct vmm_guest *guest = vmm_guest_new(NULL);

	(void)state;
	assert_int_equal(vmm_guest_set(guest, "quiet_ms", 600000), 0);
	assert_int_equal(vmm_guest_set(guest, "first_ms", 600000), 0);
	assert_int_equal(vmm_guest_begin(guest, "QUIESCE", "{}"), 0);
	go_on(guest);
	assert_true(vmm_guest_timeout_ms(guest) >= 0);
	say(VMM_GUEST_STATUS, "{}");
	hear_all(guest);
	assert_int_equal(vmm_guest_timeout_ms(guest), -1);
	assert_int_equal(vmm_guest_reached(guest), VMM_GUEST_REACHED_ANSWER);
	vmm_guest_free(guest);
}

static void
test_how_far_it_came_and_what_the_agent_said_can_be_asked(void **state)
{
	struct vmm_guest *guest = vmm_guest_new(NULL);
	int code;
	int signal;

	(void)state;
	assert_int_equal(vmm_guest_reached(guest), VMM_GUEST_REACHED_NOTHING);
	vmm_guest_free(guest);
	guest = shake(0, sizeof(shaken) - 1);
	assert_int_equal(vmm_guest_reached(guest), VMM_GUEST_REACHED_DEVICE);
	say_bytes("OK 1073741824\n", 14);
	hear_all(guest);
	assert_int_equal(vmm_guest_reached(guest), VMM_GUEST_REACHED_AGENT);
	assert_int_equal(vmm_guest_exit(guest, &code, &signal), -ENODATA);
	say(VMM_GUEST_STDERR, "busy: 1 of 1\n");
	say_exit(VMM_GUEST_EXIT_CONTROL_FAILED, 0);
	hear_all(guest);
	assert_int_equal(vmm_guest_reached(guest), VMM_GUEST_REACHED_ANSWER);
	assert_int_equal(vmm_guest_result(guest), -EBUSY);
	assert_string_equal(vmm_guest_refusal(guest), "busy: 1 of 1");
	assert_int_equal(vmm_guest_exit(guest, &code, &signal), 0);
	assert_int_equal(code, VMM_GUEST_EXIT_CONTROL_FAILED);
	assert_int_equal(vmm_guest_begin(guest, "STATUS_REQ", NULL), 0);
	assert_int_equal(vmm_guest_exit(guest, &code, &signal), -ENODATA);
	assert_null(vmm_guest_refusal(guest));
	vmm_guest_free(guest);
}

/* ---- frames that are looked at --------------------------------------------------- */

static void
observe(void *context, int is_out, uint8_t type, size_t len, const void *data, size_t data_len)
{
	char *seen = context;
	size_t used = strlen(seen);

	(void)snprintf(seen + used, SCRIPT_MAX - used, "%s%02x %zu %.*s|", is_out ? ">" : "<", type,
	    len, data_len < 8 ? (int)data_len : 8, (const char *)data);
}

static void
test_each_frame_is_seen_once_however_it_is_cut(void **state)
{
	static const char expected[] = ">01 27 {\"report|>02 2 in|>04 0 |<5f 4 what|"
				       "<50 27 {\"event\"|<10 6 abcdef|<12 8 |";
	char seen[SCRIPT_MAX];
	struct vmm_guest *guest;

	(void)state;
	say(0x5f, "what");
	say(VMM_GUEST_STATUS, STARTED);
	say(VMM_GUEST_STDOUT, "abcdef");
	say_exit(0, 0);
	for (size_t cut = 0; cut <= script_len; cut++) {
		seen[0] = '\0';
		guest = vmm_guest_new(NULL);
		vmm_guest_observe(guest, observe, seen);
		assert_int_equal(vmm_guest_begin(guest, "START", "{\"cmd\":[\"x\"]}"), 0);
		go_on(guest);
		assert_int_equal(vmm_guest_write(guest, "in", 2), 2);
		assert_int_equal(vmm_guest_eof(guest), 0);
		go_on(guest);
		hear(guest, 0, cut);
		hear(guest, cut, script_len - cut);
		assert_string_equal(seen, expected);
		vmm_guest_free(guest);
	}
}

static void
see_that_it_is_no_address(const char *address, const char *why)
{
	struct vmm_guest *guest = vmm_guest_new(address);
	char words[512];

	assert_int_equal(vmm_guest_result(guest), -EINVAL);
	assert_int_equal(vmm_guest_begin(guest, "STATUS_REQ", NULL), -EINVAL);
	(void)snprintf(words, sizeof(words), "'%s' is not an address: %s", address, why);
	assert_string_equal(vmm_guest_error_text(guest), words);
	vmm_guest_free(guest);
}

static void
test_an_address_that_leads_to_no_agent_is_refused_in_words(void **state)
{
	static const char *const others[] = { "host:80", "vsock", "vsock:4294967295", "unix:", "" };
	char path[256] = "unix:";

	(void)state;
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		see_that_it_is_no_address(others[i], "it should be unix:PATH or vsock:CID");
	memset(path + strlen(path), 'p', 150);
	see_that_it_is_no_address(path, "the path is too long for a Unix socket");
}

static void
test_misuse_is_refused_in_words(void **state)
{
	struct vmm_guest *guest = vmm_guest_new(NULL);

	(void)state;
	assert_int_equal(vmm_guest_set(guest, "colour", 1), -EINVAL);
	assert_int_equal(vmm_guest_set(guest, "report", 2), -EINVAL);
	assert_int_equal(vmm_guest_begin(guest, "STDOUT", NULL), -EINVAL);
	assert_int_equal(vmm_guest_begin(guest, "CLOCK_SYNC", "{"), -EINVAL);
	assert_int_equal(vmm_guest_begin(guest, "KILL", "{"), -EINVAL);
	assert_int_equal(vmm_guest_run(guest, "{\"cmd\":[\"x\"]}", NULL, 0), -EINVAL);
	assert_int_equal(vmm_guest_write(guest, "x", 1), -EINVAL);
	assert_int_equal(vmm_guest_begin(guest, "KILL", "{\"session\":1,\"signal\":9}"), 0);
	assert_int_equal(vmm_guest_begin(guest, "STATUS_REQ", NULL), -EALREADY);
	assert_int_equal(vmm_guest_signal(guest, 9), -EINVAL);
	assert_int_equal(vmm_guest_detach(guest), -EINVAL);
	vmm_guest_abort(guest);
	assert_int_equal(vmm_guest_result(guest), -ECANCELED);
	assert_int_equal(vmm_guest_begin(guest, "STATUS_REQ", NULL), 0);
	vmm_guest_free(guest);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_output_and_its_end_come_however_they_are_cut, begin),
		cmocka_unit_test_setup(test_a_program_s_own_125_is_not_the_agent_s, begin),
		cmocka_unit_test_setup(
		    test_what_the_agent_refuses_is_an_error_that_says_why, begin),
		cmocka_unit_test_setup(
		    test_a_worker_that_is_lost_amid_the_output_is_an_error, begin),
		cmocka_unit_test_setup(
		    test_an_old_agent_s_program_may_write_to_stderr_first, begin),
		cmocka_unit_test_setup(test_what_a_program_says_last_comes_before_its_end, begin),
		cmocka_unit_test_setup(
		    test_nothing_is_received_while_what_was_given_out_is_in_use, begin),
		cmocka_unit_test_setup(test_a_frame_of_output_is_given_out_whole, begin),
		cmocka_unit_test_setup(test_a_program_s_input_may_be_read_from_a_descriptor, begin),
		cmocka_unit_test_setup(
		    test_output_is_acknowledged_once_the_caller_is_done_with_it, begin),
		cmocka_unit_test_setup(
		    test_what_is_sent_has_an_end_whatever_offset_a_session_tells, begin),
		cmocka_unit_test_setup(test_coming_back_is_given_up_in_time_and_in_words, begin),
		cmocka_unit_test_setup(test_a_connection_that_ends_early_is_an_error, begin),
		cmocka_unit_test_setup(test_frames_that_nobody_knows_are_passed_over, begin),
		cmocka_unit_test_setup(test_what_is_no_agent_is_found_out, begin),
		cmocka_unit_test_setup(test_an_answer_that_is_too_long_is_not_kept, begin),
		cmocka_unit_test_setup(test_a_request_is_answered_by_its_status, begin),
		cmocka_unit_test_setup(test_a_request_that_fails_says_why, begin),
		cmocka_unit_test_setup(
		    test_a_request_s_answer_that_has_no_end_is_not_listened_to, begin),
		cmocka_unit_test_setup(
		    test_a_connection_into_the_guest_ends_one_way_at_a_time, begin),
		cmocka_unit_test_setup(test_the_clock_is_set_with_entropy_behind_it, begin),
		cmocka_unit_test_setup(test_files_come_and_their_errors, begin),
		cmocka_unit_test_setup(
		    test_no_word_of_a_guest_says_that_what_has_ended_is_under_way, begin),
		cmocka_unit_test_setup(test_a_tree_comes_file_by_file, begin),
		cmocka_unit_test_setup(test_a_watch_stands_and_tells, begin),
		cmocka_unit_test_setup(test_file_err_amid_an_upload_ends_it_at_once, begin),
		cmocka_unit_test_setup(test_an_upload_is_data_and_done, begin),
		cmocka_unit_test_setup(test_a_connection_is_kept_for_the_next_request, begin),
		cmocka_unit_test_setup(
		    test_requests_that_are_sent_ahead_are_answered_in_order, begin),
		cmocka_unit_test_setup(test_what_was_sent_ahead_and_not_begun_ends_so, begin),
		cmocka_unit_test_setup(
		    test_a_removal_whose_connection_was_reset_is_not_done_twice, begin),
		cmocka_unit_test_setup(test_a_name_that_is_more_hides_no_member, begin),
		cmocka_unit_test_setup(
		    test_an_agent_that_takes_no_upload_is_not_waited_for_though_others_stand_behind,
		    begin),
		cmocka_unit_test_setup(test_an_answer_to_what_was_not_asked_is_none, begin),
		cmocka_unit_test_setup(
		    test_a_request_whose_connection_was_just_given_back_is_made_again, begin),
		cmocka_unit_test_setup(
		    test_an_upload_that_is_refused_on_its_way_is_sent_to_its_end, begin),
		cmocka_unit_test_setup(test_no_more_is_sent_ahead_than_there_is_room_for, begin),
		cmocka_unit_test_setup(
		    test_a_file_is_read_to_where_it_is_sent_from_and_its_holes_are_told, begin),
		cmocka_unit_test_setup(test_the_request_goes_with_the_handshake, begin),
		cmocka_unit_test_setup(
		    test_what_may_be_tried_again_waits_for_the_devices_answer, begin),
		cmocka_unit_test_setup(test_input_waits_for_the_device, begin),
		cmocka_unit_test_setup(test_a_device_in_whose_guest_nobody_listens_hangs_up, begin),
		cmocka_unit_test_setup(test_it_is_tried_again_while_nobody_listens, begin),
		cmocka_unit_test_setup(
		    test_input_is_taken_as_far_as_there_is_room_and_signals_overtake_it, begin),
		cmocka_unit_test_setup(test_an_end_of_input_goes_with_the_start, begin),
		cmocka_unit_test_setup(
		    test_a_durable_session_is_come_back_to_where_both_sides_were, begin),
		cmocka_unit_test_setup(
		    test_a_lost_worker_of_a_durable_session_means_come_back, begin),
		cmocka_unit_test_setup(test_input_that_is_not_kept_any_more_is_told, begin),
		cmocka_unit_test_setup(test_a_durable_session_is_left_behind_its_input, begin),
		cmocka_unit_test_setup(
		    test_a_session_that_is_not_known_to_run_is_not_come_back_to, begin),
		cmocka_unit_test_setup(test_an_agent_that_hangs_is_not_waited_for, begin),
		cmocka_unit_test_setup(test_a_program_that_is_silent_is_waited_for, begin),
		cmocka_unit_test_setup(
		    test_silence_before_an_answer_is_told_once_and_ends_it_in_time, begin),
		cmocka_unit_test_setup(test_silence_amid_an_answer_is_not_looked_at, begin),
		cmocka_unit_test_setup(
		    test_how_far_it_came_and_what_the_agent_said_can_be_asked, begin),
		cmocka_unit_test_setup(test_each_frame_is_seen_once_however_it_is_cut, begin),
		cmocka_unit_test_setup(
		    test_an_address_that_leads_to_no_agent_is_refused_in_words, begin),
		cmocka_unit_test_setup(test_misuse_is_refused_in_words, begin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
