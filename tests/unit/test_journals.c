/*
 * What the supervisor makes for durable sessions.
 *
 * SPDX-License-Identifier: MIT
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "open_fds.h"
#include "platform/fd.h"
#include "platform/proc.h"
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
	struct scoreboard *board = make_board(JOURNALS_WORKERS_MIN - 1);

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
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
