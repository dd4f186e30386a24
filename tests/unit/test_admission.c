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
#include <sys/prctl.h>
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
	_Atomic uint32_t held[ADMISSION_LOOK + 1]; /* by class; of FILE, by all */
	_Atomic uint32_t refused;
	_Atomic uint32_t oversold;
};

/* Returns whether there are more than there may be. */
static bool
race_hold(const struct scoreboard *board, struct race *shared, enum admission_class kind)
{
	return atomic_fetch_add(&shared->held[kind], 1) >= admission_total(board, kind);
}

static void
race(struct scoreboard *board, struct race *shared, uint32_t index)
{
	static const enum admission_class kinds[] = { ADMISSION_EXEC, ADMISSION_FILE,
		ADMISSION_LOOK, ADMISSION_EXEC };

	/* Nobody is done before the last has begun. */
	atomic_fetch_add(&shared->ready, 1);
	while (atomic_load(&shared->ready) < RACERS)
		(void)sched_yield();
	for (uint32_t i = 0; i < RACES; i++) {
		enum admission_class kind = kinds[(i + index) % 4];

		if (!admission_take(board, index, kind)) {
			atomic_fetch_add(&shared->refused, 1);
			continue;
		}
		if (race_hold(board, shared, ADMISSION_FILE) ||
		    (kind != ADMISSION_FILE && race_hold(board, shared, kind)))
			atomic_fetch_add(&shared->oversold, 1);
		if (i % 1024 == 0)
			(void)usleep(1);
		if (kind != ADMISSION_FILE)
			atomic_fetch_sub(&shared->held[kind], 1);
		atomic_fetch_sub(&shared->held[ADMISSION_FILE], 1);
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
	admission_free_dead(board, 2);
	assert_taken(board, 0, 0);
}

/* The worker may have died between its note and its words, or have scribbled over the note. */
static void
test_a_dead_worker_is_not_believed_about_its_places(void **state)
{
	struct scoreboard *board = make(16, 2);

	(void)state;
	assert_true(admission_take(board, 2, ADMISSION_EXEC));
	assert_true(admission_take(board, 3, ADMISSION_LOOK));
	atomic_store(&board->slots[2].admission, ADMISSION_NONE);
	atomic_store(&board->slots[3].admission, 200);
	admission_free_dead(board, 2);
	assert_taken(board, 0, 1);
	assert_int_equal(admission_count_taken(board, ADMISSION_LOOK), 1);
	admission_free_dead(board, 3);
	assert_taken(board, 0, 0);
	assert_int_equal(admission_count_taken(board, ADMISSION_LOOK), 0);
	assert_int_equal(atomic_load(&board->slots[3].admission), ADMISSION_NONE);
}

/* ---- lookers ---------------------------------------------------------------- */

/* One runs a program at a time; all others look on, as fast as they can. */
static void
look_on(struct scoreboard *board, const _Atomic uint32_t *is_over, uint32_t index)
{
	while (atomic_load(is_over) == 0) {
		if (admission_take_any(board, index, ADMISSION_LOOK, index + 1))
			admission_free_any(board, index, index + 1);
	}
}

static void
test_racing_lookers_shut_no_program_out(void **state)
{
	struct scoreboard *board = make(4, 2);
	_Atomic uint32_t *is_over =
	    mmap(NULL, sizeof(*is_over), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t pids[RACERS];
	int status;

	(void)state;
	assert_true(is_over != MAP_FAILED);
	for (uint32_t i = 0; i < RACERS; i++) {
		pids[i] = fork();
		if (pids[i] == 0) {
			(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
			look_on(board, is_over, i);
			_exit(0);
		}
	}
	for (int i = 0; i < RACES; i++) {
		assert_true(admission_take(board, 0, ADMISSION_EXEC));
		assert_true(admission_take(board, 1, ADMISSION_EXEC));
		admission_free(board, 0);
		admission_free(board, 1);
	}
	atomic_store(is_over, 1);
	for (uint32_t i = 0; i < RACERS; i++) {
		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		assert_int_equal(status, 0);
	}
	assert_taken(board, 0, 0);
	(void)munmap(is_over, sizeof(*is_over));
}

/* How many of workers FIRST and above get a place of KIND. */
static uint32_t
take_all(struct scoreboard *board, uint32_t first, enum admission_class kind)
{
	uint32_t i = first;

	while (i < board->workers && admission_take(board, i, kind))
		i++;
	return i - first;
}

static void
test_lookers_are_a_quarter_of_the_workers_and_at_least_one(void **state)
{
	static const struct {
		uint32_t workers, lookers;
	} pools[] = { { 1, 1 }, { 2, 1 }, { 3, 1 }, { 4, 1 }, { 7, 1 }, { 8, 2 }, { 16, 4 },
		{ 64, 16 }, { 66, 16 } };

	(void)state;
	for (size_t i = 0; i < sizeof(pools) / sizeof(pools[0]); i++) {
		struct scoreboard *board = make(pools[i].workers, pools[i].workers > 2 ? 2 : 0);

		assert_int_equal(admission_total(board, ADMISSION_LOOK), pools[i].lookers);
		assert_int_equal(take_all(board, 0, ADMISSION_LOOK), pools[i].lookers);
		assert_false(admission_take(board, 0, ADMISSION_LOOK));
	}
}

static void
test_however_many_look_on_half_of_the_workers_can_run_programs(void **state)
{
	(void)state;
	for (uint32_t workers = 3; workers <= 66; workers++) {
		struct scoreboard *board = make(workers, 1);
		/* As many as there may be, if each had a place laid by and all that. */
		uint32_t lookers = 0;

		while (admission_take_any(board, lookers, ADMISSION_LOOK, 1000 + lookers))
			lookers++;
		assert_int_equal(lookers, workers - 1 - workers / 2);
		assert_int_equal(take_all(board, 0, ADMISSION_EXEC), workers / 2);
		while (lookers > 0) {
			lookers--;
			admission_free_any(board, lookers, 1000 + lookers);
		}
		for (uint32_t i = 0; i < workers; i++)
			admission_free(board, i);
		assert_taken(board, 0, 0);
	}
}

static void
test_programs_may_have_what_nobody_looks_on_with(void **state)
{
	struct scoreboard *board = make(16, 2);

	(void)state;
	assert_int_equal(take_all(board, 0, ADMISSION_EXEC), 14);
	assert_true(admission_take(board, 14, ADMISSION_LOOK));
	assert_false(admission_take(board, 15, ADMISSION_LOOK));
	admission_free(board, 3);
	admission_free(board, 12);
	assert_true(admission_take(board, 15, ADMISSION_LOOK));
}

static void
test_each_refusal_says_what_is_in_use(void **state)
{
	struct scoreboard *board = make(8, 2);
	char text[ADMISSION_TEXT_MAX];

	(void)state;
	assert_int_equal(take_all(board, 0, ADMISSION_LOOK), 2);
	admission_explain(board, ADMISSION_LOOK, text);
	assert_string_equal(text, "busy: 2 of 2 look workers are in use");
	admission_free(board, 1);
	assert_true(admission_take(board, 1, ADMISSION_FILE));
	assert_true(admission_take(board, 2, ADMISSION_FILE));
	assert_false(admission_take(board, 3, ADMISSION_LOOK));
	admission_explain(board, ADMISSION_LOOK, text);
	assert_string_equal(text, "busy: workers left: 4, kept for programs");
	assert_int_equal(take_all(board, 3, ADMISSION_EXEC), 4);
	admission_explain(board, ADMISSION_LOOK, text);
	assert_string_equal(text, "busy: all 7 workers that may serve this are in use");
	admission_explain(board, ADMISSION_FILE, text);
	assert_string_equal(text, "busy: all 7 workers that may serve this are in use");
	admission_explain(board, ADMISSION_EXEC, text);
	assert_string_equal(text, "busy: all 7 workers that may serve this are in use");
	for (uint32_t i = 0; i < 3; i++)
		admission_free(board, i);
	assert_int_equal(take_all(board, 0, ADMISSION_EXEC), 2);
	admission_explain(board, ADMISSION_EXEC, text);
	assert_string_equal(text, "busy: 6 of 6 exec workers are in use");
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
		cmocka_unit_test(test_a_dead_worker_is_not_believed_about_its_places),
		cmocka_unit_test(test_lookers_are_a_quarter_of_the_workers_and_at_least_one),
		cmocka_unit_test(test_however_many_look_on_half_of_the_workers_can_run_programs),
		cmocka_unit_test(test_programs_may_have_what_nobody_looks_on_with),
		cmocka_unit_test(test_each_refusal_says_what_is_in_use),
		cmocka_unit_test(test_racing_lookers_shut_no_program_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
