/*
 * The output of durable sessions: every reader has every byte once, of the right stream,
 * or is told how many it has missed; whoever writes, reads, dies, or is stopped.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "durable_board.h"
#include "platform/clock.h"
#include "shared/attachment.h"

#define SESSION 7
#define NAME "build"
#define READERS 3
#define BYTES_MAX ((uint64_t)12 * 1024 * 1024)

/* Tests are slow in a build with sanitizers, and where many run: then less is enough. */
#define TIME_MAX_MS 700

static void
test_every_byte_comes_back_once_and_of_its_stream(void **state)
{
	struct journal journal = durable_start(SESSION, NAME, &durable_settings);
	uint64_t offset = 0;
	uint64_t lost = 0;
	uint32_t seed = 1;

	(void)state;
	while (journal_end_offset(&journal) < BYTES_MAX / 4) {
		assert_true(durable_write(&journal, 1 + durable_random(&seed) % 65536, &seed) > 0);
		if (journal_end_offset(&journal) - offset < 50000)
			continue;
		while (offset < journal_end_offset(&journal))
			assert_true(durable_read(&journal, &offset,
					1 + durable_random(&seed) % 65536, &lost) > 0);
	}
	while (offset < journal_end_offset(&journal))
		assert_true(durable_read(&journal, &offset, 65536, &lost) > 0);
	assert_int_equal(lost, 0);
	assert_int_equal(durable_read(&journal, &offset, 10, &lost), 0);
}

static void
test_a_read_ends_where_the_stream_changes(void **state)
{
	static const uint8_t bytes[] = "aabbbbc";
	struct journal journal = durable_start(SESSION, NAME, &durable_settings);
	uint8_t buffer[16];
	uint64_t oldest;
	bool is_stderr;

	(void)state;
	assert_int_equal(journal_append(&journal, false, bytes, 2), 0);
	assert_int_equal(journal_append(&journal, true, bytes + 2, 4), 0);
	assert_int_equal(journal_append(&journal, false, bytes + 6, 1), 0);
	assert_int_equal(journal_read(&journal, 0, buffer, 16, &is_stderr, &oldest), 2);
	assert_false(is_stderr);
	assert_int_equal(journal_read(&journal, 2, buffer, 16, &is_stderr, &oldest), 4);
	assert_true(is_stderr);
	assert_memory_equal(buffer, "bbbb", 4);
	assert_int_equal(journal_read(&journal, 2, buffer, 3, &is_stderr, &oldest), 3);
	assert_int_equal(journal_read(&journal, 6, buffer, 16, &is_stderr, &oldest), 1);
	assert_false(is_stderr);
	assert_int_equal(journal_read(&journal, 7, buffer, 16, &is_stderr, &oldest), 0);
}

static void
test_at_least_buffer_bytes_stand_and_a_reader_below_hears_of_the_first(void **state)
{
	struct journal journal = durable_start(SESSION, NAME, &durable_settings);
	uint32_t seed = 2;
	uint64_t end = 0;

	(void)state;
	while (end < journal.ring * 4) {
		uint64_t offset = 0;
		uint64_t lost = 0;

		assert_true(durable_write(&journal, 65536, &seed) > 0);
		end = journal_end_offset(&journal);
		if (durable_random(&seed) % 256 != 0)
			continue;
		while (offset < end)
			assert_true(durable_read(&journal, &offset, 100000, &lost) >= 0);
		assert_int_equal(offset, end);
		assert_true(end - lost >= (end < JOURNAL_BUFFER_MIN ? end : JOURNAL_BUFFER_MIN));
	}
}

static void
test_an_append_that_is_too_long_is_refused(void **state)
{
	static uint8_t bytes[JOURNAL_READ_MAX + 1];
	struct journal journal = durable_start(SESSION, NAME, &durable_settings);

	(void)state;
	assert_int_equal(journal_append(&journal, false, bytes, sizeof(bytes)), -EINVAL);
	assert_int_equal(journal_append(&journal, false, bytes, 0), 0);
	assert_int_equal(journal_append(&journal, true, bytes, JOURNAL_READ_MAX), 0);
	assert_int_equal(journal_end_offset(&journal), JOURNAL_READ_MAX);
}

/* Reads to the end of a session that runs, at its own pace. Exits with 0 if all it was
 * given was right, and what it was not given was said. */
_Noreturn static void
run_reader(const struct journal *journal, uint32_t seed)
{
	struct journal_end how;
	uint64_t offset = 0;
	uint64_t lost = 0;
	uint64_t got = 0;

	for (;;) {
		bool is_over = journal_has_ended(journal, &how);
		ssize_t n = durable_read(
		    journal, &offset, 1 + durable_random(&seed) % JOURNAL_READ_MAX, &lost);

		if (n < 0)
			_exit(1);
		got += (uint64_t)n;
		if (is_over && offset == journal_end_offset(journal))
			break;
		if (n == 0 || durable_random(&seed) % 200 == 0)
			clock_sleep_ms(durable_random(&seed) % 3);
	}
	_exit(got + lost == offset && how.code == 7 ? 0 : 2);
}

static void
test_readers_of_any_pace_get_what_stands_and_hear_what_they_missed(void **state)
{
	struct journal journal = durable_start(SESSION, NAME, &durable_settings);
	uint64_t until = clock_mono_ms() + TIME_MAX_MS;
	pid_t pids[READERS];
	uint32_t seed = 3;

	(void)state;
	for (uint32_t i = 0; i < READERS; i++) {
		pids[i] = durable_fork();
		if (pids[i] == 0)
			run_reader(&journal, i);
	}
	while (journal_end_offset(&journal) < BYTES_MAX && clock_mono_ms() < until)
		assert_true(durable_write(&journal, 65536, &seed) > 0);
	durable_finish(&journal);
	for (int i = 0; i < READERS; i++)
		assert_int_equal(durable_wait(pids[i]), 0);
}

/* Reads where the next append writes, all the time. */
_Noreturn static void
run_edge_reader(const struct journal *journal, uint32_t seed)
{
	uint64_t lost = 0;

	while (journal_is_running(journal)) {
		uint64_t offset = atomic_load(&journal->record->oldest);
		ssize_t n = 1;

		while (n > 0)
			n = durable_read(
			    journal, &offset, 1 + durable_random(&seed) % 65536, &lost);
		if (n < 0)
			_exit(1);
	}
	_exit(lost > 0 ? 0 : 2);
}

static void
test_what_is_overtaken_while_it_is_copied_is_not_given_out(void **state)
{
	struct journal journal = durable_start(SESSION, NAME, &durable_settings);
	uint64_t until = clock_mono_ms() + TIME_MAX_MS;
	pid_t pids[READERS];
	uint32_t seed = 9;

	(void)state;
	while (journal_end_offset(&journal) < journal.ring)
		assert_true(durable_write(&journal, 65536, &seed) > 0);
	for (uint32_t i = 0; i < READERS; i++) {
		pids[i] = durable_fork();
		if (pids[i] == 0)
			run_edge_reader(&journal, i);
	}
	while (clock_mono_ms() < until)
		assert_true(durable_write(&journal, 65536, &seed) > 0);
	durable_finish(&journal);
	for (int i = 0; i < READERS; i++)
		assert_int_equal(durable_wait(pids[i]), 0);
}

_Noreturn static void
run_writer(struct journal *journal, uint32_t seed)
{
	for (;;)
		if (durable_write(journal, 20000, &seed) < 0)
			_exit(1);
}

static void
test_what_a_writer_that_was_killed_has_left_is_right_to_the_last_byte(void **state)
{
	uint32_t seed = 4;

	(void)state;
	for (uint32_t round = 0; round < 25; round++) {
		struct journal journal = durable_start(round + 1, NAME, &durable_settings);
		uint64_t offset = 0;
		uint64_t lost = 0;
		pid_t pid = durable_fork();

		if (pid == 0)
			run_writer(&journal, round);
		(void)usleep(durable_random(&seed) % 15000);
		assert_int_equal(kill(pid, SIGKILL), 0);
		assert_int_equal(durable_wait(pid), -1);
		assert_int_equal(journal_lose(board, DURABLE_OWNER, "lost"), (int)journal.index);
		while (offset < journal_end_offset(&journal))
			assert_true(durable_read(&journal, &offset, 65536, &lost) >= 0);
		assert_int_equal(offset, journal_end_offset(&journal));
		assert_int_equal(journal_forget(board, &journal), 0);
		(void)journal_expire(board, &(struct journal_keeper){ 0 }, 1, 0);
		assert_int_equal(journal_state(journal.record), JOURNAL_FREE);
	}
}

/* Reads on while the journal goes from session to session. */
_Noreturn static void
run_stale_reader(const struct journal *journal)
{
	uint64_t offset = 0;
	uint64_t lost = 0;
	ssize_t n;

	do {
		n = durable_read(journal, &offset, 8192, &lost);
		if (offset == journal_end_offset(journal))
			offset = journal_oldest_offset(journal);
	} while (n >= 0);
	_exit(n == -ESTALE ? 0 : 1);
}

static void
test_reader_of_a_reused_journal_sees_nothing_of_it(void **state)
{
	uint32_t seed = 5;

	(void)state;
	board->journal_count = 1;
	for (uint64_t number = 1; number <= 10; number++) {
		struct journal journal = durable_start(number, NAME, &durable_settings);
		struct journal next;
		pid_t pid = durable_fork();

		if (pid == 0)
			run_stale_reader(&journal);
		while (journal_end_offset(&journal) < journal.ring + 100000)
			assert_true(durable_write(&journal, 65536, &seed) > 0);
		durable_finish(&journal);
		assert_int_equal(journal_forget(board, &journal), 0);
		(void)journal_expire(board, &(struct journal_keeper){ 0 }, 1, 0);
		next = durable_start(number + 1000, NAME, &durable_settings);
		assert_int_equal(next.index, journal.index);
		while (journal_end_offset(&next) < next.ring)
			assert_true(durable_write(&next, 65536, &seed) > 0);
		assert_int_equal(durable_wait(pid), 0);
		durable_finish(&next);
		assert_int_equal(journal_forget(board, &next), 0);
		(void)journal_expire(board, &(struct journal_keeper){ 0 }, 1, 0);
	}
}

static void
test_the_bits_of_a_former_session_do_not_come_back(void **state)
{
	static uint8_t bytes[JOURNAL_READ_MAX];
	struct journal journal = durable_start(1, NAME, &durable_settings);
	uint64_t oldest;
	bool is_stderr;

	(void)state;
	board->journal_count = 1;
	assert_int_equal(journal_append(&journal, true, bytes, sizeof(bytes)), 0);
	durable_finish(&journal);
	assert_int_equal(journal_forget(board, &journal), 0);
	(void)journal_expire(board, &(struct journal_keeper){ 0 }, 1, 0);
	assert_int_equal(durable_pages(0), 0);
	journal = durable_start(2, NAME, &durable_settings);
	assert_int_equal(journal_append(&journal, false, bytes, 1000), 0);
	assert_int_equal(journal_append(&journal, true, bytes, 1), 0);
	assert_int_equal(
	    journal_read(&journal, 0, bytes, sizeof(bytes), &is_stderr, &oldest), 1000);
	assert_false(is_stderr);
}

static void
test_what_no_ack_has_covered_is_not_overwritten(void **state)
{
	struct journal_settings settings = durable_settings;
	uint32_t seed = 6;
	struct journal journal;
	uint64_t end;

	(void)state;
	settings.when_full = JOURNAL_FULL_WAIT;
	journal = durable_start(SESSION, NAME, &settings);
	while (journal_room(board, &journal, false) > 0)
		assert_true(
		    durable_write(&journal, journal_room(board, &journal, false), &seed) > 0);
	end = journal_end_offset(&journal);
	assert_true(end > JOURNAL_BUFFER_MIN - JOURNAL_ROOM_MIN && end <= JOURNAL_BUFFER_MIN);
	/* The last of an ended program has a read more. */
	assert_true(journal_room(board, &journal, true) >= JOURNAL_READ_MAX);
	journal_ack(board, &journal, end + 1);
	assert_int_equal(journal_room(board, &journal, false), 0);
	journal_ack(board, &journal, 20000);
	assert_in_range(journal_room(board, &journal, false), 20000 - 8, 20000 + JOURNAL_ROOM_MIN);
	journal_ack(board, &journal, 10);
	assert_in_range(journal_room(board, &journal, false), 20000 - 8, 20000 + JOURNAL_ROOM_MIN);
	while (journal_room(board, &journal, true) > 0)
		assert_true(
		    durable_write(&journal, journal_room(board, &journal, true), &seed) > 0);
	assert_true(atomic_load(&journal.record->oldest) <= 20000);
	journal_ack(board, &journal, journal_end_offset(&journal));
	assert_int_equal(journal_room(board, &journal, false), JOURNAL_READ_MAX);
}

static void
test_what_the_holder_was_not_sent_is_not_overwritten_and_nobody_else_counts(void **state)
{
	struct journal_settings settings = durable_settings;
	struct journal journal;
	uint32_t seed = 7;

	(void)state;
	settings.when_full = JOURNAL_FULL_ATTACHED;
	journal = durable_start(SESSION, NAME, &settings);
	attachment_begin(board, 2, &journal, 0, false);
	while (journal_end_offset(&journal) < journal.ring)
		assert_true(durable_write(&journal, 4096, &seed) > 0);
	assert_int_equal(journal_room(board, &journal, false), JOURNAL_READ_MAX);
	attachment_begin(board, 3, &journal, journal_end_offset(&journal) - 1000, true);
	assert_in_range(journal_room(board, &journal, false), JOURNAL_BUFFER_MIN - 1008,
	    JOURNAL_BUFFER_MIN - 1000);
	(void)attachment_take_input(board, 3, &journal);
	assert_in_range(journal_room(board, &journal, false), JOURNAL_BUFFER_MIN - 1008,
	    JOURNAL_BUFFER_MIN - 1000);
	attachment_set_sent(board, 3, &journal, UINT64_MAX);
	assert_int_equal(journal_room(board, &journal, false), JOURNAL_READ_MAX);
	attachment_set_sent(board, 3, &journal, journal_end_offset(&journal) - JOURNAL_BUFFER_MIN);
	assert_int_equal(journal_room(board, &journal, false), 0);
	attachment_end(board, 3);
	assert_int_equal(journal_room(board, &journal, false), JOURNAL_READ_MAX);
}

/* Attaches with input again and again, and must never hear that it has missed a byte. */
_Noreturn static void
run_holder(const struct journal *journal, uint32_t index)
{
	struct journal_end how;
	uint32_t seed = index;

	while (!journal_has_ended(journal, &how)) {
		uint64_t offset;
		uint64_t lost = 0;

		attachment_begin(board, index, journal, 0, true);
		offset = journal_oldest_offset(journal);
		attachment_set_sent(board, index, journal, offset);
		(void)attachment_take_input(board, index, journal);
		for (uint32_t i = durable_random(&seed) % 20;
		     i > 0 && attachment_holds(board, index, journal); i--) {
			ssize_t n = durable_read(
			    journal, &offset, 1 + durable_random(&seed) % 30000, &lost);

			if (n < 0 || (lost > 0 && attachment_holds(board, index, journal)))
				_exit(1);
			attachment_set_sent(board, index, journal, offset);
		}
		attachment_end(board, index);
	}
	_exit(0);
}

static void
test_a_holder_that_comes_while_the_owner_makes_room_misses_nothing(void **state)
{
	struct journal_settings settings = durable_settings;
	uint64_t until = clock_mono_ms() + TIME_MAX_MS;
	struct journal journal;
	uint32_t seed = 8;
	pid_t pid;

	(void)state;
	settings.when_full = JOURNAL_FULL_ATTACHED;
	journal = durable_start(SESSION, NAME, &settings);
	pid = durable_fork();
	if (pid == 0)
		run_holder(&journal, 3);
	while (journal_end_offset(&journal) < BYTES_MAX && clock_mono_ms() < until) {
		size_t room = journal_room(board, &journal, false);

		if (room == 0)
			(void)sched_yield();
		else
			assert_true(durable_write(&journal, room, &seed) > 0);
	}
	durable_finish(&journal);
	assert_int_equal(durable_wait(pid), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, durable_make, durable_drop)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_every_byte_comes_back_once_and_of_its_stream),
		TEST(test_a_read_ends_where_the_stream_changes),
		TEST(test_at_least_buffer_bytes_stand_and_a_reader_below_hears_of_the_first),
		TEST(test_an_append_that_is_too_long_is_refused),
		TEST(test_readers_of_any_pace_get_what_stands_and_hear_what_they_missed),
		TEST(test_what_is_overtaken_while_it_is_copied_is_not_given_out),
		TEST(test_what_a_writer_that_was_killed_has_left_is_right_to_the_last_byte),
		TEST(test_reader_of_a_reused_journal_sees_nothing_of_it),
		TEST(test_the_bits_of_a_former_session_do_not_come_back),
		TEST(test_what_no_ack_has_covered_is_not_overwritten),
		TEST(test_what_the_holder_was_not_sent_is_not_overwritten_and_nobody_else_counts),
		TEST(test_a_holder_that_comes_while_the_owner_makes_room_misses_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
