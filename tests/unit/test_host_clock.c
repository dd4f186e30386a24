/*
 * When the guest's clock is stepped to the host's. The clocks are this file's: it
 * stands in for platform/clock.c and platform/ptp.c.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "platform/clock.h"
#include "platform/ptp.h"
#include "shared/host_clock.h"

#define NS_PER_MS 1000000
#define NS_PER_S 1000000000ll
#define NOON (1700000000 * NS_PER_S)

static int64_t guest_ns;
static int64_t host_ns;
static int has_ptp;
static int steps;

uint64_t
clock_mono_ms(void)
{
	return 1;
}

int64_t
clock_wall_ms(void)
{
	return guest_ns / NS_PER_MS;
}

int
clock_set_wall(int64_t seconds, uint32_t nanoseconds)
{
	if (seconds < 0)
		return -EINVAL;
	guest_ns = seconds * NS_PER_S + nanoseconds;
	steps++;
	return 0;
}

int
ptp_open(int *ret_fd)
{
	if (!has_ptp)
		return -ENODEV;
	*ret_fd = 0;
	return 0;
}

int
ptp_read(int fd, int64_t *ret_ns)
{
	assert_int_equal(fd, 0);
	*ret_ns = host_ns;
	return 0;
}

static struct scoreboard *board;

static int
setup(void **state)
{
	(void)state;
	guest_ns = host_ns = NOON;
	steps = 0;
	return scoreboard_new(1, 0, &board);
}

/* First of all tests: a descriptor is never given back. */
static void
test_without_kvms_clock_the_guests_stands(void **state)
{
	(void)state;
	has_ptp = 0;
	host_clock_init();
	host_ns = NOON + 3600 * NS_PER_S;
	host_clock_look(board);
	assert_int_equal(steps, 0);
	assert_int_equal(host_clock_set(board, 5, 6), 0);
	assert_true(guest_ns == 5 * NS_PER_S + 6);
	assert_int_equal(atomic_load(&board->host_time_is_told), 0);
	has_ptp = 1;
	host_clock_init();
}

static void
test_a_clock_that_is_off_by_more_than_100_ms_is_stepped(void **state)
{
	static const int64_t off_ms[] = { 101, -101, 86400000, -259200000 };

	(void)state;
	for (size_t i = 0; i < sizeof(off_ms) / sizeof(off_ms[0]); i++) {
		guest_ns = NOON + off_ms[i] * NS_PER_MS;
		host_clock_look(board);
		assert_int_equal(steps, i + 1);
		assert_true(guest_ns == NOON);
	}
}

static void
test_a_clock_that_is_nearly_right_is_left_alone(void **state)
{
	static const int64_t off_ms[] = { 0, 1, -1, 100, -100 };

	(void)state;
	for (size_t i = 0; i < sizeof(off_ms) / sizeof(off_ms[0]); i++) {
		guest_ns = NOON + off_ms[i] * NS_PER_MS;
		host_clock_look(board);
		assert_int_equal(steps, 0);
	}
}

static void
test_a_host_that_means_another_time_is_obeyed_from_there_on(void **state)
{
	const int64_t told = NOON / NS_PER_S - 3 * 86400;

	(void)state;
	assert_int_equal(host_clock_set(board, told, 0), 0);
	host_clock_look(board);
	assert_true(guest_ns == told * NS_PER_S);
	guest_ns += 86400 * NS_PER_S;
	host_clock_look(board);
	assert_int_equal(steps, 1);
}

static void
test_a_host_that_says_what_its_clock_says_changes_nothing_for_the_next(void **state)
{
	(void)state;
	assert_int_equal(host_clock_set(board, NOON / NS_PER_S, 99 * NS_PER_MS), 0);
	guest_ns = NOON - NS_PER_S;
	host_clock_look(board);
	assert_true(guest_ns == NOON);
}

static void
test_a_time_that_cannot_be_set_is_not_obeyed(void **state)
{
	(void)state;
	assert_int_equal(host_clock_set(board, -1, 0), -EINVAL);
	assert_int_equal(atomic_load(&board->host_time_is_told), 0);
	assert_int_equal(atomic_load(&board->counts.clock_syncs), 0);
}

static void
test_times_at_the_ends_of_what_can_be_said_are_compared(void **state)
{
	(void)state;
	assert_true(host_clock_is_off(INT64_MAX, INT64_MIN));
	assert_true(host_clock_is_off(INT64_MIN, INT64_MAX));
	assert_false(host_clock_is_off(INT64_MIN, INT64_MIN));
}

#define TEST(name) cmocka_unit_test_setup(name, setup)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_without_kvms_clock_the_guests_stands),
		TEST(test_a_clock_that_is_off_by_more_than_100_ms_is_stepped),
		TEST(test_a_clock_that_is_nearly_right_is_left_alone),
		TEST(test_a_host_that_means_another_time_is_obeyed_from_there_on),
		TEST(test_a_host_that_says_what_its_clock_says_changes_nothing_for_the_next),
		TEST(test_a_time_that_cannot_be_set_is_not_obeyed),
		TEST(test_times_at_the_ends_of_what_can_be_said_are_compared),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
