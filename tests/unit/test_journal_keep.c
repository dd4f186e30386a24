/*
 * What is kept of a session that has ended or was lost, how long, and how it goes.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "durable_board.h"
#include "platform/bell.h"
#include "platform/clock.h"
#include "shared/attachment.h"

#define SESSION 7
#define NAME "build"
#define KEEP_MS 600000
#define STALL_MS 60000

static struct journal_keeper keeper;

static int
make(void **state)
{
	memset(&keeper, 0, sizeof(keeper));
	return durable_make(state);
}

static uint64_t
expire(uint64_t now_ms)
{
	return journal_expire(board, &keeper, now_ms, STALL_MS);
}

static bool
is_rung(void)
{
	struct pollfd look = { .fd = board->bell_fd, .events = POLLIN };
	bool rung = poll(&look, 1, 0) == 1;

	bell_silence(board->bell_fd);
	return rung;
}

static void
test_how_it_ended_stands_once_it_has(void **state)
{
	struct journal journal = durable_start(SESSION, NAME, &durable_settings);
	struct journal_end how = { .code = 3, .words = "it broke", .has_numbers = 1 };
	struct journal_end read;

	(void)state;
	assert_false(journal_has_ended(&journal, &read));
	assert_true(journal_is_running(&journal));
	assert_false(is_rung());
	journal_finish(board, &journal, &how);
	assert_true(is_rung());
	assert_false(journal_is_running(&journal));
	assert_true(journal_has_ended(&journal, &read));
	assert_memory_equal(&read, &how, sizeof(how));
}

static void
test_an_owner_that_died_leaves_its_session_lost_and_readers_have_words(void **state)
{
	struct journal journal = durable_start(SESSION, NAME, &durable_settings);
	struct journal_end how;

	(void)state;
	assert_int_equal(journal_lose(board, DURABLE_OWNER + 1, "no"), -ENOENT);
	assert_true(journal_is_running(&journal));
	assert_int_equal(journal_lose(board, DURABLE_OWNER, "worker lost"), (int)journal.index);
	assert_true(journal_has_ended(&journal, &how));
	assert_int_equal(how.code, 125);
	assert_int_equal(how.has_numbers, 0);
	assert_string_equal(how.words, "worker lost");
	assert_true(journal_is_kept(&journal));
	assert_int_equal(journal_owner(board, &journal), UINT32_MAX);
	assert_int_equal(journal_lose(board, DURABLE_OWNER, "again"), -ENOENT);
}

static void
test_an_end_is_kept_for_its_time_from_when_the_supervisor_has_seen_it(void **state)
{
	struct journal journal = durable_start(SESSION, NAME, &durable_settings);

	(void)state;
	assert_int_equal(expire(1), CLOCK_NEVER);
	durable_finish(&journal);
	assert_int_equal(expire(1000), 1000 + KEEP_MS);
	assert_int_equal(expire(999 + KEEP_MS), 1000 + KEEP_MS);
	assert_true(journal_is_kept(&journal));
	(void)expire(1000 + KEEP_MS);
	assert_false(journal_is_there(&journal));
	assert_int_equal(durable_pages(journal.index), 0);
	assert_int_equal(expire(2000 + KEEP_MS), CLOCK_NEVER);
	/* The time of the next session that has the journal is its own. */
	journal = durable_start(SESSION + 1, NAME, &durable_settings);
	durable_finish(&journal);
	assert_int_equal(expire(5000), 5000 + KEEP_MS);
}

static void
test_readers_of_what_is_forgotten_go_on_while_they_take_bytes(void **state)
{
	struct journal journal = durable_start(SESSION, NAME, &durable_settings);

	(void)state;
	durable_finish(&journal);
	attachment_begin(board, 3, &journal, 0, false);
	(void)is_rung();
	assert_int_equal(journal_forget(board, &journal), 0);
	assert_true(is_rung());
	assert_int_equal(expire(1000), 1000 + STALL_MS);
	attachment_set_sent(board, 3, &journal, 10);
	assert_int_equal(expire(2000), 2000 + STALL_MS);
	assert_int_equal(expire(3000), 2000 + STALL_MS);
	assert_true(journal_is_there(&journal));
	attachment_end(board, 3);
	assert_true(is_rung());
	(void)expire(4000);
	assert_int_equal(journal_state(journal.record), JOURNAL_FREE);
}

static void
test_a_reader_that_takes_no_byte_of_what_is_forgotten_is_given_up(void **state)
{
	struct journal journal = durable_start(SESSION, NAME, &durable_settings);

	(void)state;
	durable_finish(&journal);
	attachment_begin(board, 3, &journal, 0, false);
	assert_int_equal(journal_forget(board, &journal), 0);
	assert_int_equal(expire(1000), 1000 + STALL_MS);
	(void)expire(1000 + STALL_MS);
	assert_false(journal_is_there(&journal));
}

static void
test_a_reader_that_is_there_when_the_time_is_over_is_treated_likewise(void **state)
{
	struct journal journal = durable_start(SESSION, NAME, &durable_settings);

	(void)state;
	durable_finish(&journal);
	attachment_begin(board, 3, &journal, 0, false);
	(void)expire(1000);
	(void)expire(1000 + KEEP_MS);
	assert_true(journal_is_there(&journal));
	assert_false(journal_is_kept(&journal));
	(void)expire(2000 + KEEP_MS);
	attachment_end(board, 3);
	(void)expire(2000 + KEEP_MS);
	assert_false(journal_is_there(&journal));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make, durable_drop)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_how_it_ended_stands_once_it_has),
		TEST(test_an_owner_that_died_leaves_its_session_lost_and_readers_have_words),
		TEST(test_an_end_is_kept_for_its_time_from_when_the_supervisor_has_seen_it),
		TEST(test_readers_of_what_is_forgotten_go_on_while_they_take_bytes),
		TEST(test_a_reader_that_takes_no_byte_of_what_is_forgotten_is_given_up),
		TEST(test_a_reader_that_is_there_when_the_time_is_over_is_treated_likewise),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
