/*
 * STDIN of durable sessions: where it changes hands, nothing is lost and nothing doubled.
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
#include <time.h>
#include <cmocka.h>

#include "durable_session.h"
#include "platform/clock.h"

#define HOLDERS 3
#define TAKEOVERS 500

/* Tests are slow in a build with sanitizers, and where many run: then less is enough. */
#define TIME_MAX_MS 1000

static uint32_t
takeovers(void)
{
	return journal_input_epoch(atomic_load(&journal.record->input));
}

static void
assert_got(uint32_t index, const char *text)
{
	assert_int_equal(
	    attachment_get(board, index, &journal, buffer, sizeof(buffer)), strlen(text));
	assert_memory_equal(buffer, text, strlen(text));
}

static void
test_input_comes_in_order_and_is_counted(void **state)
{
	(void)state;
	assert_int_equal(attachment_holder(board, &journal), -ENOENT);
	assert_int_equal(hold(2), 0);
	assert_int_equal(attachment_holder(board, &journal), 2);
	assert_int_equal(attachment_get(board, 2, &journal, buffer, sizeof(buffer)), 0);
	assert_int_equal(put(2, "one "), 4);
	assert_int_equal(put(2, "two"), 3);
	assert_int_equal(published(), 0);
	assert_false(attachment_is_settled(board, 2, &journal));
	assert_got(2, "one two");
	assert_int_equal(published(), 7);
	assert_true(attachment_is_settled(board, 2, &journal));
}

/* Puts as much as there is room for. Returns that. */
static size_t
fill(uint32_t index)
{
	static uint8_t bytes[JOURNAL_INPUT_AREA + 1];
	size_t done = 0;
	ssize_t n;

	do {
		n = attachment_put(board, index, &journal, bytes, sizeof(bytes));
		assert_true(n >= 0);
		done += (size_t)n;
	} while (n > 0);
	return done;
}

static void
test_what_does_not_fit_waits(void **state)
{
	(void)state;
	(void)hold(2);
	assert_int_equal(put(2, "x"), 1);
	assert_int_equal(attachment_get(board, 2, &journal, buffer, 1), 1);
	assert_int_equal(fill(2), JOURNAL_INPUT_AREA);
	assert_int_equal(attachment_get(board, 2, &journal, buffer, 1000), 1000);
	assert_int_equal(fill(2), 1000);
}

static void
test_a_takeover_says_how_far_it_is_and_drops_the_rest_of_the_other(void **state)
{
	(void)state;
	(void)hold(2);
	assert_int_equal(put(2, "one"), 3);
	assert_got(2, "one");
	assert_int_equal(put(2, "two"), 3);
	assert_int_equal(journal_input_bytes(hold(5)), 3);
	assert_int_equal(attachment_holder(board, &journal), 5);
	assert_false(attachment_holds(board, 2, &journal));
	assert_int_equal(put(2, "late"), -EPERM);
	assert_true(attachment_is_settled(board, 2, &journal));
	assert_int_equal(attachment_get(board, 2, &journal, buffer, sizeof(buffer)), 0);
	assert_false(attachment_get_eof(board, 2, &journal, true));
	assert_int_equal(put(5, "2"), 1);
	assert_got(5, "2");
	assert_int_equal(published(), 4);
	assert_int_equal(attachment_count(board, &journal), 2);
}

static void
test_a_holder_that_wakes_up_late_spoils_nothing(void **state)
{
	(void)state;
	(void)hold(2);
	assert_int_equal(put(2, "aaaa"), 4);
	(void)hold(5);
	assert_int_equal(put(5, "bbbb"), 4);
	/* As if it had been stopped right before it wrote. */
	assert_int_equal(pwrite(journal.fd, "cccc", 4, attachment_area(2)), 4);
	atomic_store(&board->slots[2].attachment.input_written, 8);
	atomic_store(&board->slots[2].attachment.eof, 1);
	assert_int_equal(attachment_get(board, 2, &journal, buffer, sizeof(buffer)), 0);
	assert_got(5, "bbbb");
	assert_false(attachment_get_eof(board, 5, &journal, true));
	assert_true(journal_takes_input(&journal));
}

static void
test_the_owners_own_connection_needs_no_area(void **state)
{
	(void)state;
	assert_int_equal(hold(DURABLE_OWNER), 0);
	assert_true(journal_publish(&journal, 1, 100, false));
	assert_int_equal(journal_input_bytes(hold(5)), 100);
	assert_false(journal_publish(&journal, 1, 100, false));
	assert_false(journal_publish(&journal, 1, 0, true));
	assert_int_equal(published(), 100);
}

static void
test_eof_comes_behind_the_bytes_and_closes(void **state)
{
	(void)state;
	(void)hold(2);
	assert_int_equal(put(2, "bytes"), 5);
	assert_true(attachment_put_eof(board, 2, &journal));
	assert_false(attachment_put_eof(board, 2, &journal));
	assert_int_equal(put(2, "more"), 0);
	assert_false(attachment_get_eof(board, 2, &journal, true));
	assert_got(2, "bytes");
	assert_false(attachment_is_settled(board, 2, &journal));
	assert_true(attachment_get_eof(board, 2, &journal, true));
	assert_true(attachment_is_settled(board, 2, &journal));
	assert_false(journal_takes_input(&journal));
	/* It is dropped, as after EOF of any session. */
	assert_int_equal(put(2, "more"), 4);
	assert_int_equal(attachment_get(board, 2, &journal, buffer, sizeof(buffer)), 0);
	assert_true(journal_input_is_closed(hold(5)));
	assert_int_equal(published(), 5);
}

static void
test_eof_on_a_terminal_may_come_again(void **state)
{
	(void)state;
	(void)hold(2);
	for (int i = 0; i < 2; i++) {
		assert_true(attachment_put_eof(board, 2, &journal));
		assert_true(attachment_get_eof(board, 2, &journal, false));
		assert_false(attachment_get_eof(board, 2, &journal, false));
		assert_true(journal_takes_input(&journal));
	}
	assert_int_equal(put(2, "on"), 2);
	assert_got(2, "on");
}

static void
test_input_that_the_program_has_closed_is_dropped(void **state)
{
	(void)state;
	(void)hold(2);
	assert_int_equal(put(2, "one"), 3);
	attachment_close_input(board, &journal);
	assert_true(attachment_is_settled(board, 2, &journal));
	assert_int_equal(put(2, "two"), 3);
	assert_false(journal_takes_input(&journal));
}

static void
test_the_count_of_input_does_not_run_into_the_epoch(void **state)
{
	const uint64_t most = JOURNAL_INPUT_MAX;

	(void)state;
	(void)hold(2);
	atomic_store(&journal.record->input, (UINT64_C(1) << JOURNAL_EPOCH_SHIFT) + most - 3);
	atomic_store(&board->slots[2].attachment.input_written, most - 3);
	assert_int_equal(put(2, "abcd"), 4);
	assert_int_equal(attachment_get(board, 2, &journal, buffer, 4), 0);
	assert_int_equal(attachment_get(board, 2, &journal, buffer, 3), 3);
	assert_int_equal(published(), most);
	assert_int_equal(attachment_get(board, 2, &journal, buffer, 1), 0);
	assert_false(journal_input_is_closed(hold(3)));
	assert_int_equal(published(), most);
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

/* Sends input of its own offset, as much as it may, and then lets it go. */
static void
send_some(uint32_t index, uint32_t *seed)
{
	uint8_t bytes[5000];
	uint64_t offset = journal_input_bytes(hold(index));
	uint32_t rounds = 1 + durable_random(seed) % 30;

	while (rounds-- > 0) {
		size_t len = 1 + durable_random(seed) % sizeof(bytes);
		ssize_t n;

		for (size_t i = 0; i < len; i++)
			bytes[i] = durable_byte(SESSION, offset + i);
		attachment_sleep(board, index, ATTACHMENT_INPUT | ATTACHMENT_CHANGE);
		n = attachment_put(board, index, &journal, bytes, len);
		if (n == 0 && journal_is_running(&journal))
			sleep_until_woken(index);
		attachment_rise(board, index);
		if (n < 0 || !journal_is_running(&journal))
			break;
		offset += (uint64_t)n;
	}
	attachment_end(board, index);
}

_Noreturn static void
run_holder(uint32_t index)
{
	uint32_t seed = index;

	while (journal_is_running(&journal)) {
		send_some(index, &seed);
		(void)sched_yield();
	}
	_exit(0);
}

/* Takes what is there. Returns whether there was something, or exits with what is wrong. */
static bool
take_some(uint64_t *offset)
{
	int holder = attachment_holder(board, &journal);
	ssize_t n = holder < 0
			? 0
			: attachment_get(board, (uint32_t)holder, &journal, buffer, sizeof(buffer));

	assert_true(n >= 0);
	for (ssize_t i = 0; i < n; i++)
		if (buffer[i] != durable_byte(SESSION, *offset + (uint64_t)i))
			fail_msg("input at %llu is not what stands there",
			    (unsigned long long)*offset + (unsigned long long)i);
	*offset += (uint64_t)n;
	assert_int_equal(published(), *offset);
	return n > 0;
}

static void
test_input_that_changes_hands_loses_nothing_and_doubles_nothing(void **state)
{
	uint64_t until = clock_mono_ms() + TIME_MAX_MS;
	pid_t pids[HOLDERS];
	uint64_t offset = 0;

	(void)state;
	block_wakes();
	atomic_store(&board->slots[DURABLE_OWNER].worker_pid, getpid());
	for (uint32_t i = 0; i < HOLDERS; i++) {
		pids[i] = durable_fork();
		if (pids[i] == 0) {
			atomic_store(&board->slots[1 + i].worker_pid, getpid());
			run_holder(1 + i);
		}
	}
	while (takeovers() < TAKEOVERS && clock_mono_ms() < until) {
		if (take_some(&offset))
			continue;
		attachment_sleep(board, DURABLE_OWNER, ATTACHMENT_CHANGE);
		if (!take_some(&offset))
			sleep_until_woken(DURABLE_OWNER);
		attachment_rise(board, DURABLE_OWNER);
	}
	durable_finish(&journal);
	attachment_wake_all(board, journal.index, ATTACHMENT_CHANGE);
	for (int i = 0; i < HOLDERS; i++)
		assert_int_equal(durable_wait(pids[i]), 0);
	assert_true(offset > 0 && takeovers() > HOLDERS);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make, durable_drop)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_input_comes_in_order_and_is_counted),
		TEST(test_what_does_not_fit_waits),
		TEST(test_a_takeover_says_how_far_it_is_and_drops_the_rest_of_the_other),
		TEST(test_a_holder_that_wakes_up_late_spoils_nothing),
		TEST(test_the_owners_own_connection_needs_no_area),
		TEST(test_eof_comes_behind_the_bytes_and_closes),
		TEST(test_eof_on_a_terminal_may_come_again),
		TEST(test_input_that_the_program_has_closed_is_dropped),
		TEST(test_the_count_of_input_does_not_run_into_the_epoch),
		TEST(test_input_that_changes_hands_loses_nothing_and_doubles_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
