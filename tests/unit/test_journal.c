/*
 * The journals of durable sessions: who has which, and by what name.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
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
#define CLAIMERS 4
#define KEEP_MS 600000
#define STALL_MS 60000

static struct journal_keeper keeper;
static struct journal_refusal refusal;

static int
make(void **state)
{
	memset(&keeper, 0, sizeof(keeper));
	return durable_make(state);
}

static int
claim(uint64_t session, const char *name, struct journal *ret)
{
	return journal_claim(board, DURABLE_OWNER, session, name, &durable_settings, ret, &refusal);
}

static uint64_t
expire(uint64_t now_ms)
{
	return journal_expire(board, &keeper, now_ms, STALL_MS);
}

static void
test_a_name_is_claimed_once(void **state)
{
	struct journal journal;
	struct journal other;

	(void)state;
	assert_int_equal(claim(SESSION, NAME, &journal), 0);
	assert_int_equal(claim(SESSION + 1, NAME, &other), -EEXIST);
	assert_int_equal(refusal.why, JOURNAL_NAME_IS_THERE);
	assert_int_equal(refusal.session, SESSION);
	assert_true(refusal.runs);
	assert_int_equal(claim(SESSION + 1, NAME "2", &other), 0);
	journal_begin(&journal, 1, true);
	durable_finish(&journal);
	assert_int_equal(claim(SESSION + 2, NAME, &other), -EEXIST);
	assert_false(refusal.runs);
	assert_int_equal(journal_forget(board, &journal), 0);
	assert_int_equal(claim(SESSION + 2, NAME, &other), 0);
}

static void
test_a_start_that_failed_gives_back_name_and_memory(void **state)
{
	struct journal journal;

	(void)state;
	assert_int_equal(claim(SESSION, NAME, &journal), 0);
	assert_int_equal(durable_pages(journal.index), journal_memory(JOURNAL_BUFFER_MIN));
	journal_unclaim(board, &journal);
	assert_int_equal(durable_pages(journal.index), 0);
	assert_false(journal_is_there(&journal));
	assert_int_equal(claim(SESSION + 1, NAME, &journal), 0);
}

static void
test_a_session_is_found_by_name_and_by_number_until_it_is_forgotten(void **state)
{
	struct journal journal;
	struct journal found;

	(void)state;
	assert_int_equal(claim(SESSION, NAME, &journal), 0);
	assert_int_equal(journal_find(board, SESSION, NULL, &found), -ESRCH);
	journal_begin(&journal, 1, true);
	assert_int_equal(journal_find(board, SESSION, NULL, &found), 0);
	assert_string_equal(found.name, NAME);
	assert_int_equal(found.ring, journal.ring);
	assert_int_equal(journal_find(board, 0, NAME, &found), 0);
	assert_int_equal(found.session, SESSION);
	assert_int_equal(journal_find(board, 0, NULL, &found), -ESRCH);
	assert_int_equal(journal_find(board, SESSION, "buil", &found), -ESRCH);
	assert_int_equal(journal_forget(board, &found), -EBUSY);
	assert_int_equal(journal_owner(board, &found), DURABLE_OWNER);
	durable_finish(&journal);
	assert_int_equal(journal_find(board, 0, NAME, &found), 0);
	assert_int_equal(journal_forget(board, &found), 0);
	assert_int_equal(journal_find(board, SESSION, NULL, &found), -ESRCH);
	assert_true(journal_is_there(&journal));
	assert_false(journal_is_kept(&journal));
	assert_int_equal(journal_forget(board, &found), -ESRCH);
}

/* Fills all; all have ended but the last. */
static void
fill(struct journal *journals)
{
	for (uint32_t i = 0; i < JOURNAL_COUNT; i++) {
		char name[8];

		(void)snprintf(name, sizeof(name), "s%u", i);
		journals[i] = durable_start(i + 1, name, &durable_settings);
		if (i < JOURNAL_COUNT - 1)
			durable_finish(&journals[i]);
	}
}

static void
test_where_none_is_free_the_oldest_that_was_fetched_and_is_not_read_is_given_up(void **state)
{
	struct journal journals[JOURNAL_COUNT];
	struct journal journal;

	(void)state;
	fill(journals);
	assert_int_equal(claim(100, NAME, &journal), -EBUSY);
	assert_int_equal(refusal.why, JOURNAL_ALL_KEPT);
	journal_set_fetched(&journals[9]);
	journal_set_fetched(&journals[5]);
	journal_set_fetched(&journals[2]);
	journal_set_fetched(&journals[JOURNAL_COUNT - 1]);
	attachment_begin(board, 3, &journals[2], 0, false);
	assert_int_equal(claim(100, NAME, &journal), 0);
	assert_int_equal(journal.index, journals[5].index);
	assert_false(journal_is_there(&journals[5]));
	assert_int_equal(claim(101, NAME "2", &journal), 0);
	assert_int_equal(journal.index, journals[9].index);
	assert_int_equal(claim(102, NAME "3", &journal), -EBUSY);
	assert_true(journal_is_running(&journals[JOURNAL_COUNT - 1]));
}

/* The supervisor, which frees it, may not have come to it. */
static void
test_what_was_forgotten_makes_room_at_once_unless_it_is_read(void **state)
{
	struct journal journals[JOURNAL_COUNT];
	struct journal journal;

	(void)state;
	fill(journals);
	journal_set_fetched(&journals[1]);
	assert_int_equal(journal_forget(board, &journals[4]), 0);
	assert_int_equal(journal_forget(board, &journals[7]), 0);
	attachment_begin(board, 3, &journals[4], 0, false);
	assert_int_equal(claim(100, NAME, &journal), 0);
	assert_int_equal(journal.index, journals[7].index);
	assert_true(journal_is_there(&journals[4]));
	assert_true(journal_is_there(&journals[1]));
}

static void
test_all_together_hold_no_more_than_they_may(void **state)
{
	uint64_t one = journal_memory(JOURNAL_BUFFER_MIN);
	struct journal first;
	struct journal second;

	(void)state;
	board->journal_bytes_max = 2 * one - 1;
	first = durable_start(1, "first", &durable_settings);
	assert_int_equal(claim(2, "second", &second), -EBUSY);
	assert_int_equal(refusal.why, JOURNAL_MEMORY_HELD);
	assert_int_equal(refusal.bytes, one);
	durable_finish(&first);
	assert_int_equal(claim(2, "second", &second), -EBUSY);
	journal_set_fetched(&first);
	assert_int_equal(claim(2, "second", &second), 0);
	assert_false(journal_is_there(&first));
	board->journal_bytes_max = 0;
	assert_int_equal(claim(3, "third", &first), -EBUSY);
	board->journal_count = 0;
	assert_int_equal(claim(3, "third", &first), -ENOSYS);
	assert_int_equal(refusal.why, JOURNAL_NONE);
}

static void
test_two_starts_by_one_name_run_once(void **state)
{
	(void)state;
	for (uint64_t round = 0; round < 60; round++) {
		_Atomic uint64_t *begin = &board->slots[0].attachment.resize;
		pid_t pids[CLAIMERS];
		int won = 0;

		atomic_store(begin, 0);
		for (uint32_t i = 0; i < CLAIMERS; i++) {
			pids[i] = durable_fork();
			if (pids[i] == 0) {
				struct journal journal;

				while (atomic_load(begin) == 0)
					;
				_exit(journal_claim(board, i, round * CLAIMERS + i + 1, NAME,
					  &durable_settings, &journal, &refusal) == 0);
			}
		}
		atomic_store(begin, 1);
		for (uint32_t i = 0; i < CLAIMERS; i++)
			won += durable_wait(pids[i]);
		for (uint32_t i = 0; i < CLAIMERS; i++)
			(void)journal_lose(board, i, "");
		assert_int_equal(won, 1);
	}
}

static void
test_a_claimer_that_died_holds_nobody_up(void **state)
{
	struct journal journal;

	(void)state;
	atomic_store(&board->journals.claimer, 4 + 1);
	assert_int_equal(claim(SESSION, NAME, &journal), -EBUSY);
	assert_int_equal(refusal.why, JOURNAL_NAMES_LOCKED);
	assert_int_equal(journal_lose(board, 4, ""), -ENOENT);
	assert_int_equal(claim(SESSION, NAME, &journal), 0);
}

/* Takes and gives back, and lets ends be given up, until it is killed. */
_Noreturn static void
run_claimer(void)
{
	for (uint64_t number = 1;; number++) {
		struct journal journal;

		if (journal_claim(board, 4, number, NAME, &durable_settings, &journal, &refusal) <
		    0)
			_exit(1);
		if (number % 2 == 0) {
			journal_unclaim(board, &journal);
			continue;
		}
		journal_begin(&journal, 1, true);
		durable_finish(&journal);
		journal_set_fetched(&journal);
		if (journal_forget(board, &journal) < 0 ||
		    journal_expire(board, &keeper, 1, 0) != 101)
			_exit(2);
	}
}

static void
test_a_claimer_that_was_killed_anywhere_leaves_no_name_no_page_and_no_lock(void **state)
{
	uint32_t seed = 1;

	(void)state;
	board->journal_count = 2;
	for (int round = 0; round < 40; round++) {
		pid_t pid = durable_fork();

		if (pid == 0)
			run_claimer();
		(void)usleep(1000 + durable_random(&seed) % 5000);
		assert_int_equal(kill(pid, SIGKILL), 0);
		assert_int_equal(durable_wait(pid), -1);
		(void)journal_lose(board, 4, "");
		for (uint64_t now = 1; now < 5; now++)
			(void)journal_expire(board, &keeper, now * 2 * KEEP_MS, 0);
		assert_int_equal(atomic_load(&board->journals.claimer), 0);
		for (uint32_t i = 0; i < board->journal_count; i++) {
			assert_int_equal(journal_state(&board->journals.records[i]), JOURNAL_FREE);
			assert_int_equal(durable_pages(i), 0);
		}
	}
}

/* What a worker that ran wild may have written. */
static void
scribble(void *memory, size_t len, uint32_t *seed)
{
	uint8_t *bytes = memory;

	for (size_t i = 0; i < len; i++)
		bytes[i] = (uint8_t)(durable_random(seed) % 3 == 0 ? 0 : durable_random(seed));
}

/* All that reads a record; the sanitizers and the time of the test judge it. */
static void
use_hostile(uint32_t *seed)
{
	static uint8_t bytes[JOURNAL_READ_MAX];
	struct journal_record *record = &board->journals.records[0];
	struct journal_end how;
	struct journal journal;
	uint64_t oldest;
	bool is_stderr;
	ssize_t n;

	(void)atomic_store(&record->state, 1 + durable_random(seed) % 7);
	if (journal_open(board, 0, &journal) == 0) {
		assert_in_range(
		    journal.settings.buffer_bytes, JOURNAL_BUFFER_MIN, JOURNAL_BUFFER_MAX);
		assert_true(strlen(journal.name) <= JOURNAL_NAME_MAX);
		n = journal_read(&journal,
		    atomic_load(&record->end) - durable_random(seed) % 100000, bytes, 70000,
		    &is_stderr, &oldest);
		assert_true(n <= 70000);
		assert_true(journal_room(board, &journal, false) <= JOURNAL_READ_MAX);
		journal.map =
		    mmap(NULL, JOURNAL_INPUT_AT, PROT_READ | PROT_WRITE, MAP_SHARED, journal.fd, 0);
		assert_true(journal.map != MAP_FAILED);
		assert_int_equal(journal_append(&journal, true, bytes, 70000), 0);
		assert_int_equal(munmap(journal.map, JOURNAL_INPUT_AT), 0);
		(void)journal_oldest_offset(&journal);
		journal_ack(board, &journal, durable_random(seed));
		if (journal_has_ended(&journal, &how))
			assert_true(strlen(how.words) < JOURNAL_WORDS_MAX);
		(void)attachment_holder(board, &journal);
		attachment_wake_owner(board, &journal, UINT32_MAX);
	}
	(void)claim(SESSION, NAME, &journal);
	(void)journal_lose(board, DURABLE_OWNER, "x");
	(void)journal_expire(board, &keeper, durable_random(seed), 1000);
}

static void
test_nonsense_in_a_record_harms_nobody_who_reads_it(void **state)
{
	struct journals fresh = { 0 };
	uint32_t seed = 2;

	(void)state;
	for (int i = 0; i < 400; i++) {
		board->journals = fresh;
		scribble(&board->journals.records[0], sizeof(board->journals.records[0]), &seed);
		board->journals.records[0].settings.buffer_bytes =
		    JOURNAL_BUFFER_MIN + durable_random(&seed) % JOURNAL_BUFFER_MAX;
		use_hostile(&seed);
	}
}

static void
test_what_belongs_to_no_worker_that_can_be_is_taken_back(void **state)
{
	struct journal journal = durable_start(SESSION, NAME, &durable_settings);

	(void)state;
	atomic_store(&journal.record->owner, DURABLE_WORKERS + 1);
	atomic_store(&board->journals.claimer, 5000);
	(void)expire(1);
	assert_false(journal_is_running(&journal));
	assert_true(journal_is_kept(&journal));
	assert_int_equal(claim(SESSION + 1, NAME "2", &journal), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make, durable_drop)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_a_name_is_claimed_once),
		TEST(test_a_start_that_failed_gives_back_name_and_memory),
		TEST(test_a_session_is_found_by_name_and_by_number_until_it_is_forgotten),
		TEST(
		    test_where_none_is_free_the_oldest_that_was_fetched_and_is_not_read_is_given_up),
		TEST(test_what_was_forgotten_makes_room_at_once_unless_it_is_read),
		TEST(test_all_together_hold_no_more_than_they_may),
		TEST(test_two_starts_by_one_name_run_once),
		TEST(test_a_claimer_that_died_holds_nobody_up),
		TEST(test_a_claimer_that_was_killed_anywhere_leaves_no_name_no_page_and_no_lock),
		TEST(test_nonsense_in_a_record_harms_nobody_who_reads_it),
		TEST(test_what_belongs_to_no_worker_that_can_be_is_taken_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
