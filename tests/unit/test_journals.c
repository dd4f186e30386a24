/*
 * What the supervisor makes for durable sessions, and what becomes of them when a worker
 * dies, or time passes.
 *
 * SPDX-License-Identifier: MIT
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdbool.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "open_fds.h"
#include "platform/clock.h"
#include "platform/fd.h"
#include "platform/proc.h"
#include "shared/attachment.h"
#include "supervisor/journals.h"
#include "supervisor/own_fd.h"

#define MIB (1024ull * 1024)
#define WORKERS 6

static struct scoreboard *
make_board(uint32_t workers)
{
	struct scoreboard *board;

	assert_int_equal(scoreboard_new(workers, 0, &board), 0);
	return board;
}

static void
close_all(struct scoreboard *board)
{
	for (uint32_t i = 0; i < board->journal_count; i++)
		fd_close(&board->journal_fds[i]);
	fd_close(&board->bell_fd);
}

static void
test_all_may_hold_a_sixteenth_of_memory_or_what_the_operator_says(void **state)
{
	(void)state;
	assert_int_equal(journals_limit(0, 512), 0);
	assert_int_equal(journals_limit(128 * MIB, 512), 8 * MIB);
	assert_int_equal(journals_limit(128 * MIB, 4), 4 * MIB);
	assert_int_equal(journals_limit(128 * MIB, 9), 8 * MIB);
	assert_int_equal(journals_limit(8192 * MIB, 512), 512 * MIB);
	assert_int_equal(journals_limit(65536 * MIB, 512), 512 * MIB);
	assert_int_equal(journals_limit(65536 * MIB, 0), 0);
	assert_int_equal(journals_limit(UINT64_MAX, 512), 512 * MIB);
}

static void
test_each_is_large_enough_and_takes_nothing_yet(void **state)
{
	struct scoreboard *board = make_board(WORKERS);
	struct stat status;

	(void)state;
	journals_open(board, 64 * MIB);
	assert_int_equal(board->journal_count, JOURNAL_COUNT);
	assert_int_equal(board->journal_bytes_max, 64 * MIB);
	for (uint32_t i = 0; i < board->journal_count; i++) {
		assert_int_equal(fstat(board->journal_fds[i], &status), 0);
		assert_int_equal(status.st_size, journal_file_size(WORKERS));
		assert_int_equal(status.st_blocks, 0);
	}
	close_all(board);
}

static void
test_no_worker_can_cut_one_off(void **state)
{
	struct scoreboard *board = make_board(WORKERS);

	(void)state;
	journals_open(board, 64 * MIB);
	for (uint32_t i = 0; i < board->journal_count; i++) {
		int fd = board->journal_fds[i];

		assert_int_equal(ftruncate(fd, 0), -1);
		assert_int_equal(errno, EPERM);
		assert_int_equal(ftruncate(fd, journal_file_size(WORKERS) + 1), -1);
		assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), -1);
		assert_int_equal(pwrite(fd, "x", 1, journal_file_size(WORKERS) - 1), 1);
		assert_int_equal(pwrite(fd, "x", 1, journal_file_size(WORKERS)), -1);
	}
	close_all(board);
}

static void
test_a_program_inherits_none_and_a_worker_all(void **state)
{
	struct scoreboard *board = make_board(WORKERS);

	(void)state;
	journals_open(board, 64 * MIB);
	for (uint32_t i = 0; i < board->journal_count; i++) {
		assert_int_equal(fcntl(board->journal_fds[i], F_GETFD), FD_CLOEXEC);
		assert_in_range(board->journal_fds[i], 3, OWN_FD_MIN - 1);
	}
	close_all(board);
}

static void
assert_none(struct scoreboard *board)
{
	assert_int_equal(board->journal_count, 0);
	assert_int_equal(board->journal_bytes_max, 0);
	close_all(board);
}

static void
test_with_few_workers_or_no_memory_for_them_there_are_none(void **state)
{
	struct scoreboard *board = make_board(JOURNAL_WORKERS_MIN - 1);

	(void)state;
	journals_open(board, 64 * MIB);
	assert_none(board);
	board = make_board(WORKERS);
	journals_open(board, 0);
	assert_none(board);
}

static void
test_where_descriptors_run_out_there_are_none_and_none_is_left_open(void **state)
{
	struct scoreboard *board = make_board(WORKERS);
	struct rlimit before;
	struct rlimit few;
	int open_before;

	(void)state;
	assert_int_equal(proc_init(), 0);
	open_before = open_fds_count(proc_dir_fd());
	assert_true(open_before > 0);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	few = before;
	few.rlim_cur = 80;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	journals_open(board, 64 * MIB);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	assert_int_equal(open_fds_count(proc_dir_fd()), open_before);
	assert_none(board);
}

static void
test_each_run_of_the_agent_has_a_number_of_its_own(void **state)
{
	const uint8_t none[SCOREBOARD_INSTANCE_LEN] = { 0 };
	struct scoreboard *one = make_board(1);
	struct scoreboard *other = make_board(1);

	(void)state;
	journals_open(one, 0);
	journals_open(other, 0);
	assert_memory_not_equal(one->instance, none, sizeof(none));
	assert_memory_not_equal(one->instance, other->instance, sizeof(none));
	close_all(one);
	close_all(other);
}

/* ---- deaths ------------------------------------------------------------ */

#define OWNER 0
#define READER 1
#define SESSION 7
#define CAUSE "signal 9 (Killed)"
#define SECOND UINT64_C(1000)
#define DAY (24 * 3600 * SECOND)
#define BEGIN (3 * DAY)

static const struct journal_settings settings = {
	.buffer_bytes = JOURNAL_BUFFER_MIN,
	.keep_seconds = 600,
};

static struct journal
claim(struct scoreboard *board)
{
	struct journal_refusal refusal;
	struct journal journal;

	atomic_store(&board->slots[OWNER].session, SESSION);
	assert_int_equal(
	    journal_claim(board, OWNER, SESSION, "x", &settings, &journal, &refusal), 0);
	return journal;
}

/* A session that has said "hello". */
static struct scoreboard *
run_session(struct journal *ret)
{
	struct scoreboard *board = make_board(WORKERS);

	journals_open(board, 64 * MIB);
	*ret = claim(board);
	journal_begin(ret, 4711, true);
	assert_int_equal(journal_append(ret, false, (const uint8_t *)"hello", 5), 0);
	return board;
}

static bool
is_kept(struct scoreboard *board)
{
	struct journal found;

	return journal_find(board, SESSION, NULL, &found) == 0;
}

/* A reader whose worker is this process, as is the owner's: signals show who is woken. */
static void
attach_reader(struct scoreboard *board, const struct journal *journal, uint32_t sleeper)
{
	sigset_t bell;

	(void)sigemptyset(&bell);
	(void)sigaddset(&bell, SIGUSR1);
	(void)sigprocmask(SIG_BLOCK, &bell, NULL);
	attachment_begin(board, READER, journal, 0, true);
	(void)attachment_take_input(board, READER, journal);
	atomic_store(&board->slots[OWNER].worker_pid, getpid());
	atomic_store(&board->slots[READER].worker_pid, getpid());
	attachment_sleep(board, sleeper, ATTACHMENT_CHANGE);
	assert_int_equal(sigtimedwait(&bell, NULL, &(struct timespec){ 0 }), -1);
}

static bool
was_woken(void)
{
	sigset_t bell;

	(void)sigemptyset(&bell);
	(void)sigaddset(&bell, SIGUSR1);
	return sigtimedwait(&bell, NULL, &(struct timespec){ .tv_nsec = 100000000 }) == SIGUSR1;
}

static void
test_a_session_whose_owner_died_is_lost_and_its_readers_are_woken(void **state)
{
	struct journal journal;
	struct scoreboard *board = run_session(&journal);
	struct journal_end end;
	uint8_t bytes[8];
	uint64_t oldest;
	bool is_stderr;

	(void)state;
	attach_reader(board, &journal, READER);
	journals_bury(board, OWNER, CAUSE);
	assert_true(was_woken());
	assert_true(journal_has_ended(&journal, &end));
	assert_int_equal(end.code, VMM_GUEST_EXIT_AGENT);
	assert_string_equal(end.words, "worker lost: " CAUSE);
	assert_int_equal(journal_read(&journal, 0, bytes, sizeof(bytes), &is_stderr, &oldest), 5);
	assert_memory_equal(bytes, "hello", 5);
	close_all(board);
}

static void
test_when_a_reader_dies_the_owner_is_woken_and_nobody_holds_the_input(void **state)
{
	struct journal journal;
	struct scoreboard *board = run_session(&journal);

	(void)state;
	attach_reader(board, &journal, OWNER);
	assert_int_equal(attachment_holder(board, &journal), READER);
	journals_bury(board, READER, CAUSE);
	assert_true(was_woken());
	assert_true(attachment_holder(board, &journal) < 0);
	assert_true(journal_is_running(&journal));
	close_all(board);
}

static void
test_a_sleeper_whom_the_dead_worker_was_about_to_wake_is_woken(void **state)
{
	const uint32_t sleepers[] = { READER, OWNER };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct journal journal;
		struct scoreboard *board = run_session(&journal);

		attach_reader(board, &journal, sleepers[i]);
		atomic_store(&board->slots[sleepers[i]].attachment.sleeps, 0);
		journals_bury(board, sleepers[1 - i], CAUSE);
		assert_true(was_woken());
		close_all(board);
	}
}

static void
test_a_name_is_free_when_its_claimer_died_before_the_program_ran(void **state)
{
	struct scoreboard *board = make_board(WORKERS);
	struct journal first;

	(void)state;
	journals_open(board, 64 * MIB);
	first = claim(board);
	journals_bury(board, OWNER, CAUSE);
	assert_false(journal_is_there(&first));
	(void)claim(board);
	close_all(board);
}

static void
test_the_death_of_another_worker_is_nothing_to_a_session(void **state)
{
	struct journal journal;
	struct scoreboard *board = run_session(&journal);

	(void)state;
	journals_bury(board, READER, CAUSE);
	assert_true(journal_is_running(&journal));
	close_all(board);
}

/* All that a wild worker can have written; its successors find what is not so. */
static void
test_journals_come_back_after_a_worker_has_scribbled_over_them(void **state)
{
	struct scoreboard *board = make_board(WORKERS);
	struct journals_keeper keeper = { 0 };
	char name[8];

	(void)state;
	journals_open(board, 512 * MIB);
	srand(4711);
	for (int round = 0; round < 20; round++) {
		uint8_t *bytes = (uint8_t *)&board->journals;
		uint64_t now = BEGIN;

		for (size_t i = 0; i < sizeof(board->journals); i++)
			bytes[i] = round == 0 ? 0xff : (uint8_t)rand();
		for (uint32_t i = 0; i < JOURNAL_COUNT && round % 2 == 1; i++)
			atomic_store(&board->journals.records[i].state,
			    (uint64_t)rand() << 32 |
				(uint64_t)(i % 8 == JOURNAL_FREEING ? JOURNAL_RUNS : i % 8));
		for (uint32_t i = 0; i < JOURNAL_COUNT && round % 4 == 1; i++)
			atomic_store(&board->journals.records[i].owner, i % WORKERS + 1);
		for (int i = 0; i < 100 && now != CLOCK_NEVER; i++)
			now = journals_step(board, &keeper, now, 60 * SECOND);
		/* What seems to have ended is kept for its time, which is a week at most. */
		(void)journals_step(board, &keeper, BEGIN + 8 * DAY, 60 * SECOND);
		for (uint32_t i = 0; i < JOURNAL_COUNT; i++) {
			struct journal_refusal refusal;
			struct journal journal;

			(void)snprintf(name, sizeof(name), "n%u", i);
			assert_int_equal(journal_claim(board, OWNER, SESSION, name, &settings,
					     &journal, &refusal),
			    0);
		}
		for (uint32_t i = 0; i < WORKERS; i++)
			journals_bury(board, i, CAUSE);
	}
	close_all(board);
}

/* ---- time ---------------------------------------------------------------- */

static const struct journal_end end_of_session = { .reason = "exited" };

/* Turns until JUMP_AT, a time within a wait, is over; then the clock is DAYS further on.
 * Returns how long the guest has run until the session was gone. */
static uint64_t
run_until_gone(struct scoreboard *board, uint64_t jump_at, uint64_t days)
{
	struct journals_keeper keeper = { 0 };
	uint64_t now = BEGIN;
	uint64_t jumped = 0;

	for (int i = 0; i < 1000; i++) {
		uint64_t next = journals_step(board, &keeper, now, 60 * SECOND);

		if (!is_kept(board))
			return now - jumped - BEGIN;
		assert_true(next > now && next != CLOCK_NEVER);
		if (jumped == 0 && days > 0 && next - BEGIN > jump_at) {
			jumped = days * DAY;
			next = BEGIN + jump_at + jumped;
		}
		now = next;
	}
	fail();
	return 0;
}

static void
test_an_end_is_kept_for_its_time(void **state)
{
	struct journal journal;
	struct scoreboard *board = run_session(&journal);

	(void)state;
	journal_finish(board, &journal, &end_of_session);
	assert_int_equal(run_until_gone(board, 0, 0), 600 * SECOND);
	close_all(board);
}

static void
test_what_was_lost_is_kept_for_its_time(void **state)
{
	struct journal journal;
	struct scoreboard *board = run_session(&journal);

	(void)state;
	journals_bury(board, OWNER, CAUSE);
	assert_int_equal(run_until_gone(board, 0, 0), 600 * SECOND);
	close_all(board);
}

static void
test_an_end_outlives_a_jump_of_the_clock(void **state)
{
	(void)state;
	for (uint64_t jump_at = SECOND; jump_at < 500 * SECOND; jump_at += 99 * SECOND) {
		struct journal journal;
		struct scoreboard *board = run_session(&journal);
		uint64_t ran;

		journal_finish(board, &journal, &end_of_session);
		ran = run_until_gone(board, jump_at, 3);
		assert_in_range(ran, 600 * SECOND - RUN_CLOCK_WAIT_MAX_MS, 600 * SECOND);
		close_all(board);
	}
}

static void
test_what_is_kept_grows_no_older_while_the_clock_stands_still(void **state)
{
	struct journals_keeper keeper = { 0 };
	struct journal journal;
	struct scoreboard *board = run_session(&journal);
	uint64_t now = BEGIN;

	(void)state;
	journal_finish(board, &journal, &end_of_session);
	(void)journals_step(board, &keeper, now, 60 * SECOND);
	journals_stop_clock(&keeper, now += SECOND);
	assert_int_equal(journals_step(board, &keeper, now, 60 * SECOND), CLOCK_NEVER);
	now += DAY;
	assert_int_equal(journals_step(board, &keeper, now, 60 * SECOND), CLOCK_NEVER);
	assert_true(is_kept(board));
	journals_start_clock(&keeper, now);
	for (uint64_t end = now + 599 * SECOND; now < end;) {
		now = journals_step(board, &keeper, now, 60 * SECOND);
		assert_true(is_kept(board) && now <= end);
	}
	(void)journals_step(board, &keeper, now, 60 * SECOND);
	assert_false(is_kept(board));
	close_all(board);
}

static void
test_what_is_forgotten_while_the_clock_stands_still_goes_at_once(void **state)
{
	struct journals_keeper keeper = { 0 };
	struct journal journal;
	struct scoreboard *board = run_session(&journal);

	(void)state;
	journal_finish(board, &journal, &end_of_session);
	(void)journals_step(board, &keeper, BEGIN, 60 * SECOND);
	journals_stop_clock(&keeper, BEGIN + SECOND);
	assert_int_equal(journal_forget(board, &journal), 0);
	(void)journals_step(board, &keeper, BEGIN + SECOND, 60 * SECOND);
	assert_false(is_kept(board));
	close_all(board);
}

static void
test_while_nothing_is_kept_nothing_is_waited_for(void **state)
{
	struct journals_keeper keeper = { 0 };
	struct journal journal;
	struct scoreboard *board = run_session(&journal);

	(void)state;
	assert_int_equal(journals_step(board, &keeper, BEGIN, 60 * SECOND), CLOCK_NEVER);
	close_all(board);
	board = make_board(1);
	journals_open(board, 0);
	assert_int_equal(journals_step(board, &keeper, BEGIN, 60 * SECOND), CLOCK_NEVER);
	close_all(board);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_may_hold_a_sixteenth_of_memory_or_what_the_operator_says),
		cmocka_unit_test(test_each_is_large_enough_and_takes_nothing_yet),
		cmocka_unit_test(test_no_worker_can_cut_one_off),
		cmocka_unit_test(test_a_program_inherits_none_and_a_worker_all),
		cmocka_unit_test(test_with_few_workers_or_no_memory_for_them_there_are_none),
		cmocka_unit_test(
		    test_where_descriptors_run_out_there_are_none_and_none_is_left_open),
		cmocka_unit_test(test_each_run_of_the_agent_has_a_number_of_its_own),
		cmocka_unit_test(test_a_session_whose_owner_died_is_lost_and_its_readers_are_woken),
		cmocka_unit_test(
		    test_when_a_reader_dies_the_owner_is_woken_and_nobody_holds_the_input),
		cmocka_unit_test(test_a_sleeper_whom_the_dead_worker_was_about_to_wake_is_woken),
		cmocka_unit_test(test_a_name_is_free_when_its_claimer_died_before_the_program_ran),
		cmocka_unit_test(test_the_death_of_another_worker_is_nothing_to_a_session),
		cmocka_unit_test(test_journals_come_back_after_a_worker_has_scribbled_over_them),
		cmocka_unit_test(test_an_end_is_kept_for_its_time),
		cmocka_unit_test(test_what_was_lost_is_kept_for_its_time),
		cmocka_unit_test(test_an_end_outlives_a_jump_of_the_clock),
		cmocka_unit_test(test_what_is_kept_grows_no_older_while_the_clock_stands_still),
		cmocka_unit_test(test_what_is_forgotten_while_the_clock_stands_still_goes_at_once),
		cmocka_unit_test(test_while_nothing_is_kept_nothing_is_waited_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
