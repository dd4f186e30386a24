/*
 * The place that a durable session lays by: who holds the input finds it, and it is given back
 * once, by whoever comes last.
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
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "shared/admission.h"
#include "shared/holder_place.h"

#define WORKERS 16
#define LAST (JOURNAL_COUNT - 1)

static struct scoreboard *
make(void)
{
	struct scoreboard *board;

	assert_int_equal(scoreboard_new(WORKERS, 2, &board), 0);
	return board;
}

static void
set_state(const struct journal *journal, enum journal_state state)
{
	atomic_store(&journal->record->state, journal_word(journal, state));
}

/* The journal of INDEX, as of a session that runs and has laid a place by. */
static struct journal
begin(struct scoreboard *board, uint32_t index, uint32_t generation)
{
	struct journal journal = {
		.record = &board->journals.records[index], .index = index, .generation = generation
	};

	atomic_store(&journal.record->holder_place, 0);
	set_state(&journal, JOURNAL_CLAIMED);
	assert_true(holder_place_lay_by(board, &journal));
	set_state(&journal, JOURNAL_RUNS);
	return journal;
}

static void
assert_places(const struct scoreboard *board, uint32_t laid_by, uint32_t used)
{
	uint32_t counted;

	assert_int_equal(holder_place_count(board, &counted), laid_by);
	assert_int_equal(counted, used);
	assert_int_equal(admission_count_taken(board, ADMISSION_FILE), laid_by);
}

static void
test_who_comes_takes_the_place_from_who_was_there(void **state)
{
	struct scoreboard *board = make();
	struct journal journal = begin(board, LAST, UINT32_MAX);

	(void)state;
	assert_places(board, 1, 0);
	assert_false(holder_place_is_used_by(&journal, 0));
	assert_true(holder_place_take(&journal, 0));
	assert_true(holder_place_take(&journal, WORKERS - 1));
	assert_true(holder_place_is_used_by(&journal, WORKERS - 1));
	assert_false(holder_place_is_used_by(&journal, 0));
	/* It has not been its for long. */
	holder_place_leave(board, &journal, 0);
	assert_places(board, 1, 1);
	holder_place_leave(board, &journal, WORKERS - 1);
	assert_places(board, 1, 0);
	assert_true(holder_place_take(&journal, 0));
}

static void
test_it_is_given_back_when_the_session_has_ended(void **state)
{
	static const enum journal_state ends[] = { JOURNAL_ENDED, JOURNAL_LOST, JOURNAL_FORGOTTEN,
		JOURNAL_FREEING, JOURNAL_FREE };

	(void)state;
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		struct scoreboard *board = make();
		struct journal journal = begin(board, 0, 7);

		holder_place_settle(board, &journal);
		assert_places(board, 1, 0);
		set_state(&journal, ends[i]);
		holder_place_settle(board, &journal);
		assert_places(board, 0, 0);
		assert_false(holder_place_take(&journal, 3));
		holder_place_settle(board, &journal);
		holder_place_leave(board, &journal, 3);
		assert_places(board, 0, 0);
	}
}

static void
test_who_reads_the_tail_keeps_it_beyond_the_end(void **state)
{
	struct scoreboard *board = make();
	struct journal journal = begin(board, 5, 1);

	(void)state;
	assert_true(holder_place_take(&journal, 3));
	set_state(&journal, JOURNAL_ENDED);
	holder_place_settle(board, &journal);
	assert_places(board, 1, 1);
	holder_place_leave(board, &journal, 3);
	assert_places(board, 0, 0);
}

static void
test_a_start_that_failed_gives_it_back(void **state)
{
	struct scoreboard *board = make();
	struct journal journal = begin(board, 5, 1);
	struct journal next = journal;

	(void)state;
	next.generation++;
	set_state(&next, JOURNAL_FREE);
	holder_place_settle(board, &journal);
	assert_places(board, 0, 0);
}

static void
test_of_a_journal_that_was_reused_the_new_place_stays(void **state)
{
	struct scoreboard *board = make();
	struct journal old = begin(board, 5, 1);
	struct journal new;

	(void)state;
	assert_true(holder_place_take(&old, 3));
	new = begin(board, 5, 2);
	assert_int_equal(admission_count_taken(board, ADMISSION_FILE), 2);
	assert_false(holder_place_take(&old, 4));
	assert_false(holder_place_is_used_by(&new, 4));
	assert_true(holder_place_take(&new, 6));
	holder_place_leave(board, &old, 3);
	holder_place_settle(board, &old);
	assert_places(board, 1, 1);
}

static void
test_the_dead_leave_it_and_what_was_theirs_is_given_back(void **state)
{
	struct scoreboard *board = make();
	struct journal one = begin(board, 0, 1);
	struct journal two = begin(board, LAST, 1);

	(void)state;
	assert_true(holder_place_take(&one, 3));
	assert_true(holder_place_take(&two, 4));
	/* A reader: the session goes on, and its host can come back. */
	holder_place_bury(board, 3);
	assert_places(board, 2, 1);
	assert_true(holder_place_take(&one, 3));
	/* An owner, whose readers have the tail to send. */
	set_state(&one, JOURNAL_LOST);
	holder_place_bury(board, 9);
	assert_places(board, 2, 2);
	/* The last reader of one. */
	holder_place_bury(board, 3);
	assert_places(board, 1, 1);
	/* Nobody but the supervisor knows of the rest. */
	set_state(&two, JOURNAL_FREE);
	holder_place_bury(board, 4);
	assert_places(board, 0, 0);
}

static void
test_what_a_wild_worker_wrote_leads_nowhere(void **state)
{
	struct scoreboard *board = make();

	(void)state;
	for (uint32_t i = 0; i < WORKERS - 1; i++)
		atomic_store(&board->places[ADMISSION_FILE][i], UINT32_MAX - i);
	for (uint32_t i = 0; i < JOURNAL_COUNT; i++)
		atomic_store(&board->journals.records[i].holder_place, 5000 + i);
	holder_place_bury(board, 1);
	assert_places(board, 0, 0);
}

static void
test_where_lookers_have_no_room_it_is_refused(void **state)
{
	struct scoreboard *board = make();
	uint32_t count = 0;

	(void)state;
	for (; count < JOURNAL_COUNT; count++) {
		struct journal journal = {
			.record = &board->journals.records[count], .index = count, .generation = 1
		};

		set_state(&journal, JOURNAL_CLAIMED);
		if (!holder_place_lay_by(board, &journal))
			break;
	}
	assert_int_equal(count, WORKERS - 1 - WORKERS / 2);
}

/* ---- a race ------------------------------------------------------------------ */

#define RACERS 4
#define ROUNDS 3000

struct race {
	_Atomic uint32_t round; /* of which the session runs, or has ended */
	_Atomic uint32_t done;	/* racers that have seen its end */
	_Atomic uint32_t taken;
	_Atomic uint32_t missing; /* the place was used, and not there */
};

static void
race(struct scoreboard *board, struct race *shared, uint32_t index)
{
	struct journal journal = { .record = &board->journals.records[0] };

	for (uint32_t round = 1; round <= ROUNDS; round++) {
		while (atomic_load(&shared->round) < round)
			(void)sched_yield();
		journal.generation = round;
		while (holder_place_take(&journal, index)) {
			uint32_t used;
			bool is_there = holder_place_count(board, &used) == 1;

			if (holder_place_is_used_by(&journal, index) && !is_there)
				atomic_fetch_add(&shared->missing, 1);
			atomic_fetch_add(&shared->taken, 1);
			holder_place_leave(board, &journal, index);
		}
		atomic_fetch_add(&shared->done, 1);
	}
}

static void
test_however_they_race_it_is_there_while_used_and_given_back_once(void **state)
{
	struct scoreboard *board = make();
	struct race *shared =
	    mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t pids[RACERS];
	int status;

	(void)state;
	assert_true(shared != MAP_FAILED);
	for (uint32_t i = 0; i < RACERS; i++) {
		pids[i] = fork();
		if (pids[i] == 0) {
			(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
			race(board, shared, i);
			_exit(0);
		}
	}
	for (uint32_t round = 1; round <= ROUNDS; round++) {
		struct journal journal = begin(board, 0, round);
		uint32_t taken = atomic_load(&shared->taken);

		atomic_store(&shared->round, round);
		while (atomic_load(&shared->taken) < taken + round % 8)
			(void)sched_yield();
		set_state(&journal, JOURNAL_ENDED);
		holder_place_settle(board, &journal);
		while (atomic_load(&shared->done) < round * RACERS)
			(void)sched_yield();
		assert_places(board, 0, 0);
	}
	for (uint32_t i = 0; i < RACERS; i++) {
		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		assert_int_equal(status, 0);
	}
	assert_int_equal(shared->missing, 0);
	(void)munmap(shared, sizeof(*shared));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_who_comes_takes_the_place_from_who_was_there),
		cmocka_unit_test(test_it_is_given_back_when_the_session_has_ended),
		cmocka_unit_test(test_who_reads_the_tail_keeps_it_beyond_the_end),
		cmocka_unit_test(test_a_start_that_failed_gives_it_back),
		cmocka_unit_test(test_of_a_journal_that_was_reused_the_new_place_stays),
		cmocka_unit_test(test_the_dead_leave_it_and_what_was_theirs_is_given_back),
		cmocka_unit_test(test_what_a_wild_worker_wrote_leads_nowhere),
		cmocka_unit_test(test_where_lookers_have_no_room_it_is_refused),
		cmocka_unit_test(test_however_they_race_it_is_there_while_used_and_given_back_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
