/*
 * What goes to a connection of what stands in a journal, and in what order. The host is the
 * other end of a socket pair.
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
#include <sys/socket.h>
#include <cmocka.h>

#include "platform/fd.h"
#include "session/durable/follow.h"
#include "shared/attachment.h"
#include "durable_board.h"

#define READER 1 /* slot */

static struct session session;
static struct journal journal;
static struct follow follow;
static int host_fd = -1;

static uint8_t came[VMM_GUEST_HEADER_LEN + VMM_GUEST_DATA_MAX];
static struct frame_header came_header;

/* A session runs, and a reader of it is at OFFSET. */
static void
begin(const struct journal_settings *settings, uint64_t offset, bool wants_input)
{
	journal = durable_start(12, "x", settings);
	attachment_begin(board, READER, &journal, offset, wants_input);
	if (wants_input)
		(void)attachment_take_input(board, READER, &journal);
	follow_init(&follow, &session, &journal, offset, true);
}

static int
setup(void **state)
{
	int pair[2];

	if (durable_make(state) < 0 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return -1;
	host_fd = pair[0];
	session =
	    (struct session){ .board = board, .slot = &board->slots[READER], .slot_index = READER };
	conn_init(&session.conn, pair[1], session.slot, board, 1000);
	atomic_store(&session.slot->phase, SLOT_OPEN);
	return fd_set_nonblock(pair[1], true) < 0 || fd_set_nonblock(host_fd, true) < 0 ? -1 : 0;
}

static int
teardown(void **state)
{
	follow_done(&follow);
	attachment_end(board, READER);
	conn_close(&session.conn);
	fd_close(&host_fd);
	return durable_drop(state);
}

static void
append(bool is_stderr, const char *text)
{
	assert_int_equal(
	    journal_append(&journal, is_stderr, (const uint8_t *)text, strlen(text)), 0);
}

static void
append_many(size_t len)
{
	static uint8_t bytes[JOURNAL_READ_MAX];

	for (; len > 0; len -= len < sizeof(bytes) ? len : sizeof(bytes))
		assert_int_equal(journal_append(&journal, false, bytes,
				     len < sizeof(bytes) ? len : sizeof(bytes)),
		    0);
}

/* The next frame, of TYPE; sends what it needs for that. Returns the length of its payload,
 * which is a string. */
static size_t
take(uint8_t type)
{
	size_t have = 0;
	size_t need = VMM_GUEST_HEADER_LEN;

	while (have < need) {
		ssize_t n = read(host_fd, came + have, need - have);

		if (n < 0) {
			assert_int_equal(errno, EAGAIN);
			assert_true(follow_push(&follow) >= 0);
			continue;
		}
		assert_true(n > 0);
		have += (size_t)n;
		if (have == VMM_GUEST_HEADER_LEN) {
			assert_int_equal(frame_header_parse(came, &came_header), 0);
			need += came_header.len;
		}
	}
	assert_int_equal(came_header.type, type);
	came[need < sizeof(came) ? need : sizeof(came) - 1] = '\0';
	return came_header.len;
}

static void
assert_frame(uint8_t type, const char *payload)
{
	assert_int_equal(take(type), strlen(payload));
	assert_string_equal((char *)came + VMM_GUEST_HEADER_LEN, payload);
}

static void
assert_nothing(void)
{
	assert_int_equal(follow_push(&follow), 0);
	assert_int_equal(read(host_fd, came, 1), -1);
	assert_int_equal(errno, EAGAIN);
	assert_false(follow_has_more(&follow));
}

static void
assert_exit(int32_t code)
{
	struct frame_exit end;

	assert_int_equal(take(VMM_GUEST_EXIT), VMM_GUEST_EXIT_LEN);
	assert_int_equal(
	    frame_exit_parse(came + VMM_GUEST_HEADER_LEN, VMM_GUEST_EXIT_LEN, &end), 0);
	assert_int_equal(end.code, code);
	assert_true(follow.has_last);
	assert_int_equal(atomic_load(&session.slot->phase), SLOT_LAST_SENT);
}

static void
test_output_comes_in_order_and_one_stream_a_frame(void **state)
{
	(void)state;
	begin(&durable_settings, 0, false);
	assert_nothing();
	append(false, "one");
	append(false, "two");
	append(true, "three");
	append(false, "four");
	assert_true(follow_has_more(&follow));
	assert_frame(VMM_GUEST_STDOUT, "onetwo");
	assert_frame(VMM_GUEST_STDERR, "three");
	assert_frame(VMM_GUEST_STDOUT, "four");
	assert_nothing();
	assert_int_equal(follow.offset, 15);
}

static void
test_status_that_is_queued_comes_before_output(void **state)
{
	(void)state;
	begin(&durable_settings, 0, false);
	append(false, "out");
	follow_say(&follow, &(struct report){ .event = REPORT_INPUT_TAKEN });
	follow_say(&follow, &(struct report){ .event = REPORT_LOST, .offset = 1, .lost = 1 });
	assert_frame(VMM_GUEST_STATUS, "{\"event\":\"input_taken\"}");
	assert_frame(VMM_GUEST_STATUS, "{\"event\":\"lost\",\"offset\":1,\"lost\":1}");
	assert_frame(VMM_GUEST_STDOUT, "out");
}

/* The offset that LOST goes on at. */
static uint64_t
take_lost(uint64_t from)
{
	struct json_error error;
	struct report report;
	size_t len = take(VMM_GUEST_STATUS);
	uint64_t offset;

	assert_int_equal(
	    report_parse((char *)came + VMM_GUEST_HEADER_LEN, len, &report, &error), 0);
	assert_int_equal(report.event, REPORT_LOST);
	assert_int_equal(report.offset, from + report.lost);
	offset = report.offset;
	report_done(&report);
	return offset;
}

static void
test_what_was_overtaken_is_told_to_the_byte(void **state)
{
	const uint64_t all = 1000003;
	uint64_t at;

	(void)state;
	begin(&durable_settings, 0, false);
	append_many(5);
	assert_int_equal(take(VMM_GUEST_STDOUT), 5);
	append_many(all - 5);
	at = take_lost(5);
	assert_int_equal(at, journal_oldest_offset(&journal));
	while (at < all)
		at += take(VMM_GUEST_STDOUT);
	assert_int_equal(at, all);
	assert_nothing();
}

/* The writer is faster than whoever is to read the oldest byte. */
static void
test_who_was_overtaken_twice_goes_on_in_the_middle(void **state)
{
	uint64_t oldest;
	uint64_t at;

	(void)state;
	begin(&durable_settings, 0, false);
	append_many(1000000);
	follow.is_behind = true; /* as it was just told so, and has read nothing since */
	oldest = journal_oldest_offset(&journal);
	at = take_lost(0);
	assert_int_equal(at, oldest + (1000000 - oldest) / 2);
	while (at < 1000000)
		at += take(VMM_GUEST_STDOUT);
	assert_int_equal(at, 1000000);
	assert_false(follow.is_behind);
}

/* What no ACK has covered is still there, and is not to be passed over. */
static void
test_a_holder_that_is_waited_for_goes_on_at_the_oldest_byte_however_often_it_was_overtaken(
    void **state)
{
	const struct journal_settings settings = {
		.buffer_bytes = 65536,
		.keep_seconds = 1,
		.when_full = JOURNAL_FULL_WAIT,
	};

	(void)state;
	begin(&settings, 0, true);
	append_many(1000000);
	follow.is_behind = true;
	assert_int_equal(take_lost(0), journal_oldest_offset(&journal));
}

static void
test_sent_is_what_has_gone_whole(void **state)
{
	const struct journal_settings settings = { .buffer_bytes = 1 << 20, .keep_seconds = 1 };
	const _Atomic uint64_t *sent = &board->slots[READER].attachment.sent;
	size_t first;

	(void)state;
	begin(&settings, 0, true);
	append_many(1 << 20);
	while (!follow_wants_room(&follow))
		assert_int_equal(follow_push(&follow), 0);
	first = *sent;
	assert_true(first < follow.offset);
	while (*sent == first)
		(void)take(VMM_GUEST_STDOUT);
	assert_int_equal(*sent % VMM_GUEST_DATA_MAX, 0);
	follow_leave(&follow);
	assert_true(*sent == UINT64_MAX);
}

static void
test_the_end_is_exited_the_words_and_exit(void **state)
{
	struct journal_end how = {
		.code = 125, .reason = "disconnected", .words = "why", .has_numbers = 1
	};

	(void)state;
	begin(&durable_settings, 0, false);
	append(false, "tail");
	journal_finish(board, &journal, &how);
	assert_false(atomic_load(&journal.record->fetched));
	assert_frame(VMM_GUEST_STDOUT, "tail");
	assert_true(take(VMM_GUEST_STATUS) > 0);
	assert_non_null(strstr((char *)came + VMM_GUEST_HEADER_LEN, "\"reason\":\"disconnected\""));
	assert_frame(VMM_GUEST_STDERR, "why\n");
	assert_exit(125);
	assert_true(atomic_load(&journal.record->fetched));
}

static void
test_an_end_without_words_or_numbers_is_exit_alone(void **state)
{
	(void)state;
	begin(&durable_settings, 0, false);
	durable_finish(&journal);
	assert_exit(7);
}

static void
test_detached_says_the_first_byte_that_was_not_sent(void **state)
{
	(void)state;
	begin(&durable_settings, 0, false);
	append(false, "one");
	assert_frame(VMM_GUEST_STDOUT, "one");
	append(false, "two");
	follow_detach(&follow, NULL);
	follow_detach(&follow, "a second time");
	assert_frame(VMM_GUEST_STATUS, "{\"event\":\"detached\",\"offset\":3}");
	assert_int_equal(follow_push(&follow), 1);
}

static void
test_who_loses_the_input_is_told_once(void **state)
{
	(void)state;
	begin(&durable_settings, 0, true);
	assert_false(follow_has_lost_input(&follow));
	attachment_begin(board, READER + 1, &journal, 0, true);
	(void)attachment_take_input(board, READER + 1, &journal);
	assert_true(follow_has_lost_input(&follow));
	assert_false(follow_has_lost_input(&follow));
	assert_frame(VMM_GUEST_STATUS, "{\"event\":\"input_taken\"}");
	assert_nothing();
}

static void
test_ack_counts_for_the_holder_and_for_what_was_sent(void **state)
{
	const _Atomic uint64_t *acked;

	(void)state;
	begin(&durable_settings, 0, true);
	acked = &journal.record->acked;
	append(false, "12345678");
	follow_ack(&follow, 4);
	assert_int_equal(*acked, 0);
	assert_frame(VMM_GUEST_STDOUT, "12345678");
	follow_ack(&follow, 6);
	follow_ack(&follow, 4);
	follow_ack(&follow, 9);
	assert_int_equal(*acked, 6);
	(void)attachment_take_input(board, READER + 1, &journal);
	follow_ack(&follow, 8);
	assert_int_equal(*acked, 6);
}

static void
test_what_the_owner_has_just_appended_goes_without_being_read(void **state)
{
	(void)state;
	begin(&durable_settings, 0, false);
	assert_true(follow_is_caught_up(&follow));
	memcpy(conn_tx_buffer(), "bytes", 5);
	append(true, "bytes");
	assert_int_equal(follow_push_direct(&follow, true, 5), 0);
	assert_frame(VMM_GUEST_STDERR, "bytes");
	assert_int_equal(board->slots[READER].attachment.sent, 5);
	append(false, "more");
	assert_false(follow_is_caught_up(&follow));
	assert_frame(VMM_GUEST_STDOUT, "more");
}

static void
test_nothing_is_sent_of_a_journal_that_is_anothers(void **state)
{
	(void)state;
	begin(&durable_settings, 0, false);
	append(false, "mine");
	(void)atomic_fetch_add(&journal.record->state, UINT64_C(1) << 32);
	assert_int_equal(follow_push(&follow), -ESTALE);
	assert_int_equal(read(host_fd, came, 1), -1);
	assert_int_equal(errno, EAGAIN);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	static const struct CMUnitTest tests[] = {
		TEST(test_output_comes_in_order_and_one_stream_a_frame),
		TEST(test_status_that_is_queued_comes_before_output),
		TEST(test_what_was_overtaken_is_told_to_the_byte),
		TEST(test_who_was_overtaken_twice_goes_on_in_the_middle),
		TEST(
		    test_a_holder_that_is_waited_for_goes_on_at_the_oldest_byte_however_often_it_was_overtaken),
		TEST(test_sent_is_what_has_gone_whole),
		TEST(test_the_end_is_exited_the_words_and_exit),
		TEST(test_an_end_without_words_or_numbers_is_exit_alone),
		TEST(test_detached_says_the_first_byte_that_was_not_sent),
		TEST(test_who_loses_the_input_is_told_once),
		TEST(test_ack_counts_for_the_holder_and_for_what_was_sent),
		TEST(test_what_the_owner_has_just_appended_goes_without_being_read),
		TEST(test_nothing_is_sent_of_a_journal_that_is_anothers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
