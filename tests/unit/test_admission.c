/*
 * The control lane: never more places than there are, however many race for them,
 * and none lost.
 *
 * SPDX-License-Identifier: MIT
 */
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "shared/admission.h"

#define RACERS 6
#define RACES 700000

static struct scoreboard *
make(uint32_t workers, uint32_t reserved)
{
	struct scoreboard *board;

	assert_int_equal(scoreboard_new(workers, reserved, &board), 0);
	return board;
}

static void
assert_taken(const struct scoreboard *board, uint32_t exec, uint32_t any)
{
	assert_int_equal(admission_count_taken(board, ADMISSION_EXEC), exec);
	assert_int_equal(admission_count_taken(board, ADMISSION_FILE), any);
}

static void
test_totals_leave_room_for_control(void **state)
{
	(void)state;
	assert_int_equal(admission_total(make(16, 2), ADMISSION_EXEC), 14);
	assert_int_equal(admission_total(make(16, 2), ADMISSION_FILE), 15);
	assert_int_equal(admission_total(make(2, 1), ADMISSION_EXEC), 1);
	assert_int_equal(admission_total(make(2, 1), ADMISSION_FILE), 1);
	/* One worker can still run a program and move a file. */
	assert_int_equal(admission_total(make(1, 0), ADMISSION_EXEC), 1);
	assert_int_equal(admission_total(make(1, 0), ADMISSION_FILE), 1);
}

static void
test_control_requests_need_no_place(void **state)
{
	struct scoreboard *board = make(2, 1);

	(void)state;
	for (uint32_t i = 0; i < 100; i++)
		assert_true(admission_take(board, i % 2, ADMISSION_NONE));
	assert_taken(board, 0, 0);
}

static void
test_programs_are_refused_above_their_places(void **state)
{
	struct scoreboard *board = make(8, 3);

	(void)state;
	for (uint32_t i = 0; i < 5; i++)
		assert_true(admission_take(board, i, ADMISSION_EXEC));
	assert_false(admission_take(board, 5, ADMISSION_EXEC));
	assert_taken(board, 5, 5);
	/* Files still find two; then only control is left. */
	assert_true(admission_take(board, 5, ADMISSION_FILE));
	assert_true(admission_take(board, 6, ADMISSION_FILE));
	assert_false(admission_take(board, 7, ADMISSION_FILE));
	assert_taken(board, 5, 7);
	admission_free(board, 2);
	assert_taken(board, 4, 6);
	assert_true(admission_take(board, 7, ADMISSION_EXEC));
}

static void
test_files_may_take_what_programs_do_not(void **state)
{
	struct scoreboard *board = make(8, 3);

	(void)state;
	for (uint32_t i = 0; i < 7; i++)
		assert_true(admission_take(board, i, ADMISSION_FILE));
	assert_false(admission_take(board, 7, ADMISSION_EXEC));
	assert_taken(board, 0, 7);
}

static void
test_a_refusal_gives_back_what_it_had_taken(void **state)
{
	struct scoreboard *board = make(8, 7);

	(void)state;
	assert_true(admission_take(board, 0, ADMISSION_EXEC));
	for (int i = 0; i < 100; i++)
		assert_false(admission_take(board, 1, ADMISSION_EXEC));
	assert_taken(board, 1, 1);
}

static void
test_freeing_nothing_is_harmless(void **state)
{
	struct scoreboard *board = make(4, 1);

	(void)state;
	assert_true(admission_take(board, 0, ADMISSION_EXEC));
	admission_free(board, 1);
	admission_free(board, 3);
	assert_taken(board, 1, 1);
	admission_free(board, 0);
	admission_free(board, 0);
	assert_taken(board, 0, 0);
}

/* What the racers hold by their own count, and whether it was ever too much. */
struct race {
	_Atomic uint32_t ready;
	_Atomic uint32_t exec;
	_Atomic uint32_t any;
	_Atomic uint32_t refused;
	_Atomic uint32_t oversold;
};

static void
race(struct scoreboard *board, struct race *shared, uint32_t index)
{
	const uint32_t exec_total = admission_total(board, ADMISSION_EXEC);
	const uint32_t any_total = admission_total(board, ADMISSION_FILE);

	/* Nobody is done before the last has begun. */
	atomic_fetch_add(&shared->ready, 1);
	while (atomic_load(&shared->ready) < RACERS)
		(void)sched_yield();
	for (uint32_t i = 0; i < RACES; i++) {
		bool is_exec = (i + index) % 3 != 0;

		if (!admission_take(board, index, is_exec ? ADMISSION_EXEC : ADMISSION_FILE)) {
			atomic_fetch_add(&shared->refused, 1);
			continue;
		}
		if (atomic_fetch_add(&shared->any, 1) >= any_total ||
		    (is_exec && atomic_fetch_add(&shared->exec, 1) >= exec_total))
			atomic_fetch_add(&shared->oversold, 1);
		if (i % 1024 == 0)
			(void)usleep(1);
		if (is_exec)
			atomic_fetch_sub(&shared->exec, 1);
		atomic_fetch_sub(&shared->any, 1);
		admission_free(board, index);
	}
}

static void
race_for(struct scoreboard *board)
{
	struct race *shared =
	    mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t pids[RACERS];
	int status;

	assert_true(shared != MAP_FAILED);
	for (uint32_t i = 0; i < RACERS; i++) {
		pids[i] = fork();
		if (pids[i] == 0) {
			race(board, shared, i);
			_exit(0);
		}
	}
	for (uint32_t i = 0; i < RACERS; i++) {
		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		assert_int_equal(status, 0);
	}
	assert_int_equal(shared->oversold, 0);
	assert_taken(board, 0, 0);
	/* There was a race at all. */
	assert_true(shared->refused > 0);
	(void)munmap(shared, sizeof(*shared));
}

static void
test_racing_processes_never_oversell_and_lose_none(void **state)
{
	(void)state;
	/* Few places for many, then one for all. */
	race_for(make(RACERS, RACERS - 2));
	race_for(make(2, 0));
}

static void
test_the_places_of_a_killed_worker_are_freed_by_its_slot(void **state)
{
	struct scoreboard *board = make(4, 2);
	int status;
	pid_t pid = fork();

	(void)state;
	if (pid == 0) {
		(void)admission_take(board, 2, ADMISSION_EXEC);
		(void)raise(SIGKILL);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	assert_taken(board, 1, 1);
	admission_free(board, 2);
	assert_taken(board, 0, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_totals_leave_room_for_control),
		cmocka_unit_test(test_control_requests_need_no_place),
		cmocka_unit_test(test_programs_are_refused_above_their_places),
		cmocka_unit_test(test_files_may_take_what_programs_do_not),
		cmocka_unit_test(test_a_refusal_gives_back_what_it_had_taken),
		cmocka_unit_test(test_freeing_nothing_is_harmless),
		cmocka_unit_test(test_racing_processes_never_oversell_and_lose_none),
		cmocka_unit_test(test_the_places_of_a_killed_worker_are_freed_by_its_slot),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
