/*
 * What readers of a durable session and its owner leave each other; and that nobody sleeps
 * through what it waits for.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>
#include <cmocka.h>

#include "durable_session.h"
#include "platform/bell.h"
#include "shared/slot_wake.h"

static bool
is_rung(void)
{
	struct pollfd look = { .fd = board->bell_fd, .events = POLLIN };
	bool rung = poll(&look, 1, 0) == 1;

	bell_silence(board->bell_fd);
	return rung;
}

static void
test_the_epoch_comes_round_without_the_number_of_those_who_never_held(void **state)
{
	(void)state;
	atomic_store(&journal.record->input, (UINT64_C(0xffff) << JOURNAL_EPOCH_SHIFT) + 17);
	attachment_begin(board, 4, &journal, 0, false);
	assert_int_equal(journal_input_bytes(hold(2)), 17);
	assert_int_equal(atomic_load(&board->slots[2].attachment.epoch), 1);
	assert_true(attachment_holds(board, 2, &journal));
	assert_false(attachment_holds(board, 4, &journal));
	assert_int_equal(published(), 17);
}

static void
test_signals_come_in_order_and_a_full_queue_takes_no_more(void **state)
{
	int count = 0;

	(void)state;
	(void)hold(2);
	assert_int_equal(attachment_get_signal(board, 2, &journal), 0);
	while (attachment_put_signal(board, 2, &journal, 60 + count % 5))
		count++;
	assert_true(count >= 6);
	for (int i = 0; i < count; i++)
		assert_int_equal(attachment_get_signal(board, 2, &journal), 60 + i % 5);
	assert_int_equal(attachment_get_signal(board, 2, &journal), 0);
	assert_true(attachment_put_signal(board, 2, &journal, SIGTERM));
	assert_int_equal(attachment_get_signal(board, 2, &journal), SIGTERM);
}

static void
test_a_signal_for_another_session_is_left_where_it_is(void **state)
{
	struct journal other = durable_start(SESSION + 1, "other", &durable_settings);

	(void)state;
	attachment_begin(board, 2, &other, 0, true);
	assert_true(attachment_put_signal(board, 2, &other, SIGKILL));
	assert_int_equal(attachment_get_signal(board, 2, &journal), 0);
	assert_int_equal(attachment_get_signal(board, 2, &other), SIGKILL);
	attachment_put_size(board, 2, &other, 80, 24);
	assert_false(attachment_get_size(
	    board, 2, &journal, &(uint32_t){ 0 }, &(uint16_t){ 0 }, &(uint16_t){ 0 }));
}

static void
test_the_last_size_counts_and_each_is_seen_once(void **state)
{
	uint32_t seen = 0;
	uint16_t columns;
	uint16_t rows;

	(void)state;
	(void)hold(2);
	assert_false(attachment_get_size(board, 2, &journal, &seen, &columns, &rows));
	attachment_put_size(board, 2, &journal, 80, 24);
	attachment_put_size(board, 2, &journal, 65535, 1);
	assert_true(attachment_get_size(board, 2, &journal, &seen, &columns, &rows));
	assert_int_equal(columns, 65535);
	assert_int_equal(rows, 1);
	assert_false(attachment_get_size(board, 2, &journal, &seen, &columns, &rows));
	attachment_put_size(board, 2, &journal, 65535, 1);
	assert_true(attachment_get_size(board, 2, &journal, &seen, &columns, &rows));
}

static void
test_a_slot_that_goes_leaves_nothing(void **state)
{
	uint64_t pages = durable_pages(journal.index);
	uint32_t changes;

	(void)state;
	(void)hold(2);
	assert_int_equal(put(2, "bytes"), 5);
	assert_true(durable_pages(journal.index) > pages);
	changes = atomic_load(&journal.record->changes);
	(void)is_rung();
	attachment_end(board, 2);
	assert_int_equal(durable_pages(journal.index), pages);
	assert_int_equal(attachment_holder(board, &journal), -ENOENT);
	assert_int_equal(attachment_count(board, &journal), 0);
	assert_int_not_equal(atomic_load(&journal.record->changes), changes);
	assert_false(is_rung());
	assert_int_equal(attachment_get(board, 2, &journal, buffer, sizeof(buffer)), 0);
	changes = atomic_load(&journal.record->changes);
	attachment_end(board, 2);
	assert_int_equal(atomic_load(&journal.record->changes), changes);
	(void)hold(2);
	scoreboard_clear_slot(&board->slots[2]);
	assert_int_equal(attachment_count(board, &journal), 0);
}

static void
test_nonsense_in_a_slot_harms_nobody_who_reads_it(void **state)
{
	uint8_t *bytes = (uint8_t *)&board->slots[2].attachment;
	uint32_t seed = 3;

	(void)state;
	for (int i = 0; i < 3000; i++) {
		uint32_t size = 0;
		uint16_t rows;

		for (size_t j = 0; j < sizeof(struct attachment); j++)
			bytes[j] = (uint8_t)(durable_random(&seed) % 2 * durable_random(&seed));
		if (i % 2 == 0) {
			(void)hold(2);
			atomic_store(&board->slots[2].attachment.input_written,
			    durable_random(&seed) * (uint64_t)durable_random(&seed));
		}
		assert_true(attachment_get(board, 2, &journal, buffer, 7) <= 7);
		(void)attachment_get_eof(board, 2, &journal, false);
		assert_in_range(attachment_get_signal(board, 2, &journal), 0, 64);
		(void)attachment_get_size(board, 2, &journal, &size, &rows, &rows);
		(void)attachment_holder_sent(board, &journal);
		assert_true(put(2, "text") <= 4);
		attachment_wake_all(board, journal.index, UINT32_MAX);
		attachment_end(board, 2);
	}
}

/* ---- in several processes ---------------------------------------------- */

static void
block_wakes(void)
{
	sigset_t set;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGUSR1);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
}

/* Sleeps until slot INDEX is woken. Whoever sleeps too long ends the test. */
static void
sleep_until_woken(uint32_t index)
{
	const struct timespec max = { .tv_sec = SLEEP_MAX_S };
	sigset_t set;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGUSR1);
	if (sigtimedwait(&set, NULL, &max) < 0)
		_exit(9);
	attachment_rise(board, index);
}

/* Reads to the end, and sleeps whenever there is nothing. */
_Noreturn static void
run_sleeper(uint32_t index)
{
	struct journal_end how;
	uint64_t offset = 0;
	uint64_t lost = 0;

	atomic_store(&board->slots[index].worker_pid, getpid());
	attachment_begin(board, index, &journal, 0, false);
	for (;;) {
		bool is_over;

		attachment_sleep(board, index, ATTACHMENT_OUTPUT | ATTACHMENT_CHANGE);
		is_over = journal_has_ended(&journal, &how);
		if (offset == journal_end_offset(&journal)) {
			if (is_over)
				_exit(lost == 0 ? 0 : 2);
			sleep_until_woken(index);
		}
		attachment_rise(board, index);
		if (durable_read(&journal, &offset, 65536, &lost) < 0)
			_exit(1);
	}
}

static void
test_nobody_sleeps_through_the_last_byte_or_the_end(void **state)
{
	uint32_t seed = 5;
	pid_t pid;

	(void)state;
	block_wakes();
	pid = durable_fork();
	if (pid == 0)
		run_sleeper(2);
	while (attachment_count(board, &journal) == 0)
		(void)sched_yield();
	for (int i = 0; i < 3000; i++) {
		assert_true(durable_write(&journal, 100, &seed) > 0);
		attachment_wake_all(board, journal.index, ATTACHMENT_OUTPUT);
		if (i % 16 == 0)
			(void)usleep(1);
	}
	durable_finish(&journal);
	attachment_wake_all(board, journal.index, ATTACHMENT_CHANGE);
	assert_int_equal(durable_wait(pid), 0);
}

static void
test_only_a_sleeper_is_woken_and_only_by_what_it_sleeps_for(void **state)
{
	const struct timespec none = { 0 };
	sigset_t set;

	(void)state;
	block_wakes();
	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGUSR1);
	assert_int_equal(slot_wake(&board->slots[2]), -EINVAL);
	atomic_store(&board->slots[2].worker_pid, getpid());
	(void)hold(2);
	attachment_wake(board, 2, UINT32_MAX);
	attachment_sleep(board, 2, ATTACHMENT_INPUT);
	attachment_wake_all(board, journal.index, ATTACHMENT_OUTPUT | ATTACHMENT_CHANGE);
	assert_int_equal(sigtimedwait(&set, NULL, &none), -1);
	attachment_wake(board, 2, ATTACHMENT_INPUT);
	assert_int_equal(sigtimedwait(&set, NULL, &none), SIGUSR1);
	attachment_wake(board, 2, ATTACHMENT_INPUT);
	assert_int_equal(sigtimedwait(&set, NULL, &none), -1);
}

static void
test_who_could_not_be_woken_is_woken_by_the_next(void **state)
{
	const struct timespec none = { 0 };
	sigset_t set;

	(void)state;
	block_wakes();
	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGUSR1);
	(void)hold(2);
	attachment_sleep(board, 2, ATTACHMENT_INPUT);
	attachment_wake(board, 2, ATTACHMENT_INPUT);
	atomic_store(&board->slots[2].worker_pid, getpid());
	attachment_wake(board, 2, ATTACHMENT_INPUT);
	assert_int_equal(sigtimedwait(&set, NULL, &none), SIGUSR1);
}

static void
test_whose_host_has_left_is_nobody(void **state)
{
	uint32_t changes;

	(void)state;
	(void)hold(2);
	changes = atomic_load(&journal.record->changes);
	assert_int_equal(attachment_count(board, &journal), 1);
	attachment_set_sent(board, 2, &journal, 5);
	assert_int_equal(atomic_load(&journal.record->changes), changes);
	attachment_set_sent(board, 2, &journal, ATTACHMENT_LEFT);
	assert_int_equal(attachment_count(board, &journal), 0);
	assert_int_not_equal(atomic_load(&journal.record->changes), changes);
	assert_true(attachment_holds(board, 2, &journal));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make, durable_drop)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_the_epoch_comes_round_without_the_number_of_those_who_never_held),
		TEST(test_signals_come_in_order_and_a_full_queue_takes_no_more),
		TEST(test_a_signal_for_another_session_is_left_where_it_is),
		TEST(test_the_last_size_counts_and_each_is_seen_once),
		TEST(test_a_slot_that_goes_leaves_nothing),
		TEST(test_nonsense_in_a_slot_harms_nobody_who_reads_it),
		TEST(test_nobody_sleeps_through_the_last_byte_or_the_end),
		TEST(test_only_a_sleeper_is_woken_and_only_by_what_it_sleeps_for),
		TEST(test_who_could_not_be_woken_is_woken_by_the_next),
		TEST(test_whose_host_has_left_is_nobody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
