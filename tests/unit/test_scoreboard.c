/*
 * What the workers tell of themselves, in shared memory.
 *
 * SPDX-License-Identifier: MIT
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "shared/scoreboard.h"

#define WORKERS 5

static struct scoreboard *
make(void)
{
	struct scoreboard *board;

	assert_int_equal(scoreboard_new(WORKERS, 2, &board), 0);
	return board;
}

static void
test_a_new_one_is_all_zero_but_for_its_numbers(void **state)
{
	struct scoreboard *board = make();
	const struct slot zero = { 0 };

	(void)state;
	assert_int_equal(board->workers, WORKERS);
	assert_int_equal(board->reserved, 2);
	assert_int_equal(board->counts.sessions, 0);
	for (uint32_t i = 0; i < WORKERS; i++) {
		assert_memory_equal(&board->slots[i], &zero, sizeof(zero));
		assert_int_equal(scoreboard_temporary(board, i)->standing, 0);
	}
}

static void
test_slots_do_not_share_a_cache_line(void **state)
{
	struct scoreboard *board = make();

	(void)state;
	for (uint32_t i = 0; i < WORKERS; i++)
		assert_int_equal((uintptr_t)&board->slots[i] % SCOREBOARD_CACHE_LINE, 0);
}

static void
test_records_of_litter_lie_behind_the_slots_and_apart(void **state)
{
	struct scoreboard *board = make();

	(void)state;
	for (uint32_t i = 0; i < WORKERS; i++) {
		struct scoreboard_temporary *temporary = scoreboard_temporary(board, i);

		assert_true((void *)temporary >= (void *)&board->slots[WORKERS]);
		assert_int_equal((uintptr_t)temporary % _Alignof(struct scoreboard_temporary), 0);
		/* To the last byte: the sanitizers and the kernel know the end. */
		memset(temporary, (int)i + 1, sizeof(*temporary));
	}
	for (uint32_t i = 0; i < WORKERS; i++) {
		struct scoreboard_temporary *temporary = scoreboard_temporary(board, i);

		assert_int_equal(temporary->dir[0], (int)i + 1);
		assert_int_equal(temporary->dir[PATH_MAX - 1], (int)i + 1);
		assert_int_equal(board->slots[i].command[0], '\0');
	}
}

static void
test_a_child_writes_what_the_parent_reads(void **state)
{
	struct scoreboard *board = make();
	int status;
	pid_t pid = fork();

	(void)state;
	if (pid == 0) {
		atomic_store(&board->slots[3].session, 77);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(atomic_load(&board->slots[3].session), 77);
}

/* The supervisor's loops go by these. */
static void
test_a_child_can_not_change_the_bounds_that_the_parent_goes_by(void **state)
{
	struct scoreboard *board = make();
	int status;
	pid_t pid;

	(void)state;
	board->supervisor_pid = 1;
	board->started_ms = 7;
	pid = fork();
	if (pid == 0) {
		memset(board, 0xff, (size_t)((char *)&board->slots[WORKERS] - (char *)board));
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(atomic_load(&board->counts.sessions), UINT64_MAX);
	assert_int_equal(atomic_load(&board->slots[WORKERS - 1].session), UINT64_MAX);
	assert_int_equal(board->workers, WORKERS);
	assert_int_equal(board->reserved, 2);
	assert_int_equal(board->supervisor_pid, 1);
	assert_int_equal(board->started_ms, 7);
}

static void
test_a_slot_is_idle_where_a_worker_is_there_and_has_no_connection(void **state)
{
	struct scoreboard *board = make();

	(void)state;
	assert_int_equal(scoreboard_count_idle(board), 0);
	for (uint32_t i = 0; i < WORKERS; i++)
		atomic_store(&board->slots[i].worker_pid, 100 + (int)i);
	assert_int_equal(scoreboard_count_idle(board), WORKERS);
	atomic_store(&board->slots[0].phase, SLOT_ACCEPTED);
	atomic_store(&board->slots[1].phase, SLOT_OPEN);
	atomic_store(&board->slots[2].phase, SLOT_LAST_SENT);
	assert_int_equal(scoreboard_count_idle(board), WORKERS - 3);
}

static void
test_a_cleared_slot_keeps_its_worker_and_nothing_of_the_session(void **state)
{
	struct scoreboard *board = make();
	struct slot *slot = &board->slots[1];

	(void)state;
	atomic_store(&slot->worker_pid, 100);
	atomic_store(&slot->sessions_served, 9);
	atomic_store(&slot->phase, SLOT_LAST_SENT);
	atomic_store(&slot->in_frame, 1);
	atomic_store(&slot->reply_style, SLOT_REPLY_FILE);
	atomic_store(&slot->spawning, 1);
	atomic_store(&slot->child_pid, 101);
	atomic_store(&slot->session, 7);
	atomic_store(&slot->bytes_in, 1);
	atomic_store(&slot->bytes_out, 2);
	(void)strlcpy(slot->kind, "exec", sizeof(slot->kind));
	(void)strlcpy(slot->name, "n", sizeof(slot->name));
	(void)strlcpy(slot->user, "root", sizeof(slot->user));
	(void)strlcpy(slot->command, "sh", sizeof(slot->command));
	scoreboard_clear_slot(slot);
	assert_int_equal(slot->worker_pid, 100);
	assert_int_equal(slot->sessions_served, 9);
	assert_int_equal(slot->phase, SLOT_IDLE);
	assert_int_equal(slot->in_frame, 0);
	assert_int_equal(slot->reply_style, SLOT_REPLY_NONE);
	assert_int_equal(slot->spawning, 0);
	assert_int_equal(slot->child_pid, 0);
	assert_int_equal(slot->session, 0);
	assert_int_equal(slot->bytes_in, 0);
	assert_int_equal(slot->bytes_out, 0);
	assert_string_equal(slot->kind, "");
	assert_string_equal(slot->name, "");
	assert_string_equal(slot->user, "");
	assert_string_equal(slot->command, "");
	assert_int_equal(scoreboard_count_idle(board), 1);
}

static void
test_the_first_word_for_the_end_is_kept_whole(void **state)
{
	struct scoreboard *board;
	uint32_t grace_ms = 1;
	uint8_t action = 77;

	(void)state;
	assert_int_equal(scoreboard_new(2, 0, &board), 0);
	assert_false(scoreboard_is_end_asked(board, &action, &grace_ms));
	/* What a worker that ran wild has left there is none. */
	atomic_store(&board->shutdown.asked, UINT64_MAX);
	assert_false(scoreboard_is_end_asked(board, &action, &grace_ms));
	assert_int_equal(action, 77);
	scoreboard_ask_end(board, 2, UINT32_MAX);
	scoreboard_ask_end(board, 1, 5);
	assert_true(scoreboard_is_end_asked(board, &action, &grace_ms));
	assert_int_equal(action, 2);
	assert_int_equal(grace_ms, UINT32_MAX);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_new_one_is_all_zero_but_for_its_numbers),
		cmocka_unit_test(test_slots_do_not_share_a_cache_line),
		cmocka_unit_test(test_records_of_litter_lie_behind_the_slots_and_apart),
		cmocka_unit_test(test_a_child_writes_what_the_parent_reads),
		cmocka_unit_test(test_a_child_can_not_change_the_bounds_that_the_parent_goes_by),
		cmocka_unit_test(test_a_slot_is_idle_where_a_worker_is_there_and_has_no_connection),
		cmocka_unit_test(test_the_first_word_for_the_end_is_kept_whole),
		cmocka_unit_test(test_a_cleared_slot_keeps_its_worker_and_nothing_of_the_session),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
