/*
 * What RESTORED asks of the switch, which is a process here that thaws nothing.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "platform/bell.h"
#include "platform/clock.h"
#include "session/control/restored_thaw.h"

#define NUMBER 1

static struct scoreboard *board;
static struct quiesce *quiesce;

static int
setup(void **state)
{
	int r = scoreboard_new(4, 1, &board);

	(void)state;
	quiesce = r == 0 ? &board->quiesce : NULL;
	return r;
}

/* The guest is as far as PHASE. */
static void
begin(enum quiesce_phase phase)
{
	static const struct quiesce_order order = { .hold_ms = 1000 };
	uint64_t number;

	assert_int_equal(quiesce_claim(quiesce, 0, &order, &number), 0);
	assert_int_equal(number, NUMBER);
	quiesce_set_phase(quiesce, number, phase);
}

/* The switch, for one message: that has to be KIND, from RESTORED. */
static void
serve(enum quiesce_ask_kind kind)
{
	enum quiesce_thaw_why why = QUIESCE_THAW_OTHER;
	enum quiesce_ask_kind found;

	do {
		clock_sleep_ms(1);
		found = quiesce_take_ask(quiesce, NUMBER, &why);
	} while (found == QUIESCE_ASK_NONE);
	if (found != kind || why != QUIESCE_THAW_RESTORED)
		_exit(1);
	if (kind == QUIESCE_ASK_THAW)
		quiesce_end(quiesce, NUMBER, why);
	else
		(void)atomic_fetch_add(&quiesce->answer, 1);
}

static void
assert_ended_well(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void
test_a_guest_that_is_not_quiesced_has_nothing_to_be_thawed(void **state)
{
	(void)state;
	assert_int_equal(restored_thaw(board, QUIESCE_ASK_THAW_FILES), -ENODATA);
	assert_int_equal(restored_thaw(board, QUIESCE_ASK_HOLD), -ENODATA);
	assert_int_equal(restored_thaw(board, QUIESCE_ASK_THAW), -ENODATA);
}

static void
test_each_is_done_when_it_returns(void **state)
{
	pid_t pid;

	(void)state;
	begin(QUIESCE_HELD);
	pid = fork();
	if (pid == 0) {
		serve(QUIESCE_ASK_HOLD);
		serve(QUIESCE_ASK_THAW_FILES);
		serve(QUIESCE_ASK_THAW);
		_exit(0);
	}
	assert_int_equal(restored_thaw(board, QUIESCE_ASK_HOLD), 0);
	assert_int_equal(atomic_load(&quiesce->answer), 1);
	assert_int_equal(restored_thaw(board, QUIESCE_ASK_THAW_FILES), 0);
	assert_int_equal(atomic_load(&quiesce->answer), 2);
	assert_int_equal(restored_thaw(board, QUIESCE_ASK_THAW), 0);
	assert_true(quiesce_is_over(quiesce, NUMBER));
	assert_ended_well(pid);
}

static void
test_the_switchs_bell_is_rung(void **state)
{
	pid_t pid;

	(void)state;
	begin(QUIESCE_HELD);
	bell_silence(board->quiesce_bell_fd);
	pid = fork();
	if (pid == 0) {
		serve(QUIESCE_ASK_THAW);
		_exit(0);
	}
	assert_int_equal(restored_thaw(board, QUIESCE_ASK_THAW), 0);
	assert_int_equal(
	    read(board->quiesce_bell_fd, &(uint64_t){ 0 }, sizeof(uint64_t)), sizeof(uint64_t));
	assert_ended_well(pid);
}

static void
test_a_guest_that_is_about_to_be_held_is_not_called_off_by_a_hold(void **state)
{
	pid_t pid;

	(void)state;
	begin(QUIESCE_FREEZING);
	pid = fork();
	if (pid == 0) {
		clock_sleep_ms(50);
		if (atomic_load(&quiesce->ask) != 0)
			_exit(2);
		quiesce_set_phase(quiesce, NUMBER, QUIESCE_HELD);
		serve(QUIESCE_ASK_HOLD);
		_exit(0);
	}
	assert_int_equal(restored_thaw(board, QUIESCE_ASK_HOLD), 0);
	assert_ended_well(pid);
}

static void
test_who_asks_at_the_same_time_is_waited_for(void **state)
{
	pid_t pid;

	(void)state;
	begin(QUIESCE_HELD);
	assert_int_equal(quiesce_ask(quiesce, QUIESCE_ASK_HOLD, QUIESCE_THAW_RESTORED), 0);
	pid = fork();
	if (pid == 0) {
		clock_sleep_ms(20);
		serve(QUIESCE_ASK_HOLD);
		serve(QUIESCE_ASK_THAW_FILES);
		_exit(0);
	}
	assert_int_equal(restored_thaw(board, QUIESCE_ASK_THAW_FILES), 0);
	assert_ended_well(pid);
}

static void
test_only_what_is_frozen_now_is(void **state)
{
	struct quiesce_report *report = &quiesce->report;

	(void)state;
	begin(QUIESCE_HELD);
	assert_false(restored_thaw_has_frozen(board));
	quiesce_report_place(report, "/run", "tmpfs", "virtual");
	assert_false(restored_thaw_has_frozen(board));
	quiesce_report_place(report, "/data", "ext4", "");
	assert_true(restored_thaw_has_frozen(board));
	/* A worker can have written any number there. */
	report->places_count = UINT32_MAX;
	assert_true(restored_thaw_has_frozen(board));
	quiesce_end(quiesce, NUMBER, QUIESCE_THAW_EXPIRED);
	assert_false(restored_thaw_has_frozen(board));
}

#define EACH(function) cmocka_unit_test_setup(function, setup)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		EACH(test_a_guest_that_is_not_quiesced_has_nothing_to_be_thawed),
		EACH(test_each_is_done_when_it_returns),
		EACH(test_the_switchs_bell_is_rung),
		EACH(test_a_guest_that_is_about_to_be_held_is_not_called_off_by_a_hold),
		EACH(test_who_asks_at_the_same_time_is_waited_for),
		EACH(test_only_what_is_frozen_now_is),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
