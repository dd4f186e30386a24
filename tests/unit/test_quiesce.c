/*
 * The words of a quiesce: who may say what, and what comes of what is left over.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "platform/clock.h"
#include "shared/quiesce.h"

static struct quiesce quiesce;
static const struct quiesce_order order = { .syncs = true, .hold_ms = 5 };

static int
begin(void **state)
{
	(void)state;
	memset(&quiesce, 0, sizeof(quiesce));
	return 0;
}

/* A quiesce of the slot INDEX that is held. */
static uint64_t
hold(uint32_t index)
{
	uint64_t number = 0;

	assert_int_equal(quiesce_claim(&quiesce, index, &order, &number), 0);
	quiesce_set_phase(&quiesce, number, QUIESCE_HELD);
	return number;
}

static void
test_one_at_a_time_has_the_guest_quiesced(void **state)
{
	uint64_t number = 0;
	uint64_t next = 0;

	(void)state;
	assert_int_equal(quiesce_claim(&quiesce, 3, &order, &number), 0);
	assert_int_equal(number, 1);
	assert_int_equal(quiesce_number(&quiesce), 1);
	assert_int_equal(quiesce_phase(&quiesce), QUIESCE_ASKED);
	assert_int_equal(quiesce.order.hold_ms, 5);
	assert_int_equal(quiesce_claim(&quiesce, 4, &order, &next), -EBUSY);
	quiesce_end(&quiesce, number, QUIESCE_THAW_HOST);
	assert_int_equal(quiesce_claim(&quiesce, 4, &order, &next), 0);
	assert_int_equal(next, 2);
}

static void
test_workers_stand_still_from_the_rest_to_the_end(void **state)
{
	uint64_t number = 0;

	(void)state;
	assert_false(quiesce_is_raised(&quiesce));
	(void)quiesce_claim(&quiesce, 3, &order, &number);
	assert_false(quiesce_is_raised(&quiesce));
	for (int phase = QUIESCE_RESTING; phase <= QUIESCE_THAWING; phase++) {
		quiesce_set_phase(&quiesce, number, (enum quiesce_phase)phase);
		assert_true(quiesce_is_raised(&quiesce));
	}
	quiesce_end(&quiesce, number, QUIESCE_THAW_GONE);
	assert_false(quiesce_is_raised(&quiesce));
	assert_int_equal(quiesce.why, QUIESCE_THAW_GONE);
}

static void
test_what_is_asked_for_is_taken_once(void **state)
{
	enum quiesce_thaw_why why = QUIESCE_THAW_OTHER;
	uint64_t number = hold(0);

	(void)state;
	assert_int_equal(quiesce_take_ask(&quiesce, number, &why), QUIESCE_ASK_NONE);
	assert_int_equal(quiesce_ask(&quiesce, QUIESCE_ASK_THAW, QUIESCE_THAW_SHUTDOWN), 0);
	assert_int_equal(quiesce_take_ask(&quiesce, number, &why), QUIESCE_ASK_THAW);
	assert_int_equal(why, QUIESCE_THAW_SHUTDOWN);
	assert_int_equal(quiesce_take_ask(&quiesce, number, &why), QUIESCE_ASK_NONE);
}

static void
test_nothing_is_asked_of_a_guest_that_is_not_quiesced(void **state)
{
	(void)state;
	assert_int_equal(quiesce_ask(&quiesce, QUIESCE_ASK_THAW, QUIESCE_THAW_THAW), -ENODATA);
}

static void
test_the_end_goes_before_all_else_that_is_asked_for(void **state)
{
	enum quiesce_thaw_why why = QUIESCE_THAW_OTHER;
	uint64_t number = hold(0);

	(void)state;
	assert_int_equal(quiesce_ask(&quiesce, QUIESCE_ASK_HOLD, QUIESCE_THAW_RESTORED), 0);
	assert_int_equal(
	    quiesce_ask(&quiesce, QUIESCE_ASK_THAW_FILES, QUIESCE_THAW_RESTORED), -EBUSY);
	assert_int_equal(quiesce_ask(&quiesce, QUIESCE_ASK_THAW, QUIESCE_THAW_GONE), 0);
	/* Who asks for the same later has it too; the first says why. */
	assert_int_equal(quiesce_ask(&quiesce, QUIESCE_ASK_THAW, QUIESCE_THAW_THAW), 0);
	assert_int_equal(quiesce_ask(&quiesce, QUIESCE_ASK_HOLD, QUIESCE_THAW_RESTORED), 0);
	assert_int_equal(quiesce_take_ask(&quiesce, number, &why), QUIESCE_ASK_THAW);
	assert_int_equal(why, QUIESCE_THAW_GONE);
}

static void
test_what_was_left_of_an_earlier_number_is_nobodys(void **state)
{
	enum quiesce_thaw_why why = QUIESCE_THAW_OTHER;
	uint64_t number = hold(0);
	uint64_t left;

	(void)state;
	assert_int_equal(quiesce_ask(&quiesce, QUIESCE_ASK_THAW, QUIESCE_THAW_THAW), 0);
	left = quiesce.ask;
	quiesce_end(&quiesce, number, QUIESCE_THAW_EXPIRED);
	/* It was asked in the very moment of the end. */
	quiesce.ask = left;
	number = hold(0);
	assert_int_equal(quiesce_ask(&quiesce, QUIESCE_ASK_HOLD, QUIESCE_THAW_RESTORED), 0);
	assert_int_equal(quiesce_take_ask(&quiesce, number, &why), QUIESCE_ASK_HOLD);
	quiesce.ask = left;
	assert_int_equal(quiesce_take_ask(&quiesce, number, &why), QUIESCE_ASK_NONE);
}

static void
test_a_worker_that_dies_before_its_order_stands_holds_up_nobody(void **state)
{
	uint64_t number = 0;

	(void)state;
	quiesce.word = 5 << 24 | 4 << 8 | QUIESCE_CLAIMED;
	quiesce_bury(&quiesce, 2);
	assert_int_equal(quiesce_claim(&quiesce, 0, &order, &number), -EBUSY);
	quiesce_bury(&quiesce, 3);
	assert_int_equal(quiesce_claim(&quiesce, 0, &order, &number), 0);
	assert_int_equal(number, 6);
}

static void
test_the_death_of_the_worker_that_asked_is_known(void **state)
{
	uint64_t number = hold(3);

	(void)state;
	quiesce_bury(&quiesce, 2);
	assert_int_equal(quiesce_holder(&quiesce), 4);
	quiesce_bury(&quiesce, 3);
	assert_int_equal(quiesce_phase(&quiesce), QUIESCE_HELD);
	/* Who has the slot next has not asked. */
	assert_int_equal(quiesce_holder(&quiesce), 0);
	quiesce_set_phase(&quiesce, number, QUIESCE_THAWING);
	assert_int_equal(quiesce_holder(&quiesce), 0);
	assert_int_equal(quiesce_number(&quiesce), number);
}

static void
test_nonsense_that_a_worker_wrote_is_not_taken(void **state)
{
	enum quiesce_thaw_why why = QUIESCE_THAW_OTHER;
	uint64_t number = hold(0);

	(void)state;
	quiesce.ask = (number << 8 | 9) << 8;
	assert_int_equal(quiesce_take_ask(&quiesce, number, &why), QUIESCE_ASK_NONE);
	quiesce.ask = (number << 8 | QUIESCE_ASK_THAW) << 8 | 0xff;
	assert_int_equal(quiesce_take_ask(&quiesce, number, &why), QUIESCE_ASK_THAW);
	assert_int_equal(why, QUIESCE_THAW_OTHER);
	quiesce.report.places_count = UINT32_MAX;
	quiesce_report_place(&quiesce.report, "/", "ext4", "");
	assert_int_equal(quiesce.report.places_count, UINT32_MAX);
}

static void
test_what_is_skipped_leaves_room_for_all_that_may_be_frozen(void **state)
{
	(void)state;
	for (int i = 0; i < QUIESCE_PLACES_MAX; i++)
		quiesce_report_place(&quiesce.report, "/proc", "proc", "virtual");
	for (int i = 0; i < VMM_GUEST_FSFREEZE_MAX; i++)
		quiesce_report_place(&quiesce.report, "/disk", "ext4", "");
	assert_int_equal(quiesce.report.places_count, QUIESCE_PLACES_MAX);
	assert_string_equal(quiesce.report.places[QUIESCE_PLACES_MAX - 1].path, "/disk");
	assert_string_equal(
	    quiesce.report.places[QUIESCE_PLACES_MAX - VMM_GUEST_FSFREEZE_MAX].path, "/disk");
}

/* ---- waiting ----------------------------------------------------------------- */

static void
test_a_number_that_has_fallen_stays_so_when_the_next_is_raised(void **state)
{
	uint64_t number = hold(0);

	(void)state;
	assert_false(quiesce_is_over(&quiesce, number));
	quiesce_end(&quiesce, number, QUIESCE_THAW_HOST);
	assert_true(quiesce_is_over(&quiesce, number));
	(void)hold(0);
	assert_true(quiesce_is_over(&quiesce, number));
}

static void
test_what_is_asked_for_is_awaited_up_to_a_time(void **state)
{
	enum quiesce_thaw_why why;
	uint64_t number;

	(void)state;
	assert_int_equal(
	    quiesce_ask_and_wait(&quiesce, QUIESCE_ASK_THAW, QUIESCE_THAW_THAW, -1, CLOCK_NEVER),
	    -ENODATA);
	number = hold(0);
	assert_int_equal(
	    quiesce_ask_and_wait(&quiesce, QUIESCE_ASK_HOLD, QUIESCE_THAW_RESTORED, -1, 0),
	    -ETIMEDOUT);
	/* It stands, all the same. */
	assert_int_equal(quiesce_take_ask(&quiesce, number, &why), QUIESCE_ASK_HOLD);
}

/* The switch: does what it is asked for, up to the end. */
static void *
obey(void *context)
{
	uint64_t number = *(uint64_t *)context;
	enum quiesce_thaw_why why = QUIESCE_THAW_OTHER;
	enum quiesce_ask_kind kind;

	do {
		kind = quiesce_take_ask(&quiesce, number, &why);
		if (kind == QUIESCE_ASK_HOLD || kind == QUIESCE_ASK_THAW_FILES)
			(void)atomic_fetch_add(&quiesce.answer, 1);
	} while (kind != QUIESCE_ASK_THAW);
	quiesce_end(&quiesce, number, why);
	return NULL;
}

static void
test_who_asks_waits_until_it_is_done(void **state)
{
	uint64_t number = hold(0);
	pthread_t thread;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, obey, &number), 0);
	for (uint32_t i = 1; i <= 10; i++) {
		assert_int_equal(quiesce_ask_and_wait(&quiesce, QUIESCE_ASK_THAW_FILES,
				     QUIESCE_THAW_RESTORED, -1, CLOCK_NEVER),
		    0);
		assert_int_equal(quiesce.answer, i);
	}
	assert_int_equal(quiesce_ask_and_wait(
			     &quiesce, QUIESCE_ASK_THAW, QUIESCE_THAW_SHUTDOWN, -1, CLOCK_NEVER),
	    0);
	assert_true(quiesce_is_over(&quiesce, number));
	assert_int_equal(quiesce.why, QUIESCE_THAW_SHUTDOWN);
	assert_int_equal(pthread_join(thread, NULL), 0);
}

#define QUIESCE_TEST(name) cmocka_unit_test_setup(name, begin)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		QUIESCE_TEST(test_one_at_a_time_has_the_guest_quiesced),
		QUIESCE_TEST(test_workers_stand_still_from_the_rest_to_the_end),
		QUIESCE_TEST(test_what_is_asked_for_is_taken_once),
		QUIESCE_TEST(test_nothing_is_asked_of_a_guest_that_is_not_quiesced),
		QUIESCE_TEST(test_the_end_goes_before_all_else_that_is_asked_for),
		QUIESCE_TEST(test_what_was_left_of_an_earlier_number_is_nobodys),
		QUIESCE_TEST(test_a_worker_that_dies_before_its_order_stands_holds_up_nobody),
		QUIESCE_TEST(test_the_death_of_the_worker_that_asked_is_known),
		QUIESCE_TEST(test_nonsense_that_a_worker_wrote_is_not_taken),
		QUIESCE_TEST(test_what_is_skipped_leaves_room_for_all_that_may_be_frozen),
		QUIESCE_TEST(test_a_number_that_has_fallen_stays_so_when_the_next_is_raised),
		QUIESCE_TEST(test_what_is_asked_for_is_awaited_up_to_a_time),
		QUIESCE_TEST(test_who_asks_waits_until_it_is_done),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
