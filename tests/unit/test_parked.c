/*
 * Connections that say nothing, kept by the supervisor. The test is all the workers, and all
 * the hosts.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <cmocka.h>

#include "platform/clock.h"
#include "platform/fd.h"
#include "platform/fdpass.h"
#include "shared/parking.h"
#include "supervisor/parked.h"

#define TIMEOUT_MS 1000
#define NOW_MS 1000000
#define HOSTS 6

static struct parked parked;
static struct scoreboard *board;
static int hosts[HOSTS];

static int
open_all(void **state)
{
	(void)state;
	if (scoreboard_new(2, 0, &board) < 0 || parked_open(&parked, board, TIMEOUT_MS) < 0)
		return -1;
	for (int i = 0; i < HOSTS; i++)
		hosts[i] = -1;
	return 0;
}

static int
close_all(void **state)
{
	(void)state;
	parked_end(&parked);
	fd_close(&parked.queue_fd);
	fd_close(&parked.workers_fd);
	fd_close(&parked.wait_fd);
	for (int i = 0; i < HOSTS; i++)
		fd_close(&hosts[i]);
	return 0;
}

/* What the supervisor does in a turn. */
static void
turn(void)
{
	struct pollfd polls[PARKED_POLLS];

	parked_poll(&parked, polls);
	assert_true(poll(polls, PARKED_POLLS, 0) >= 0);
	parked_act(&parked, polls, NOW_MS);
}

/* The connection of host I, of session I + 1, whose time is over then. */
static void
park(int i, uint64_t until_ms)
{
	const struct parking parking = { .session = (uint64_t)i + 1, .left_ms = until_ms - NOW_MS };
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	hosts[i] = pair[0];
	assert_int_equal(fdpass_put(parked.workers_fd, pair[1], &parking, sizeof(parking)), 0);
	(void)close(pair[1]);
	turn();
}

static bool
is_closed(int i)
{
	char byte;

	return recv(hosts[i], &byte, 1, MSG_DONTWAIT) == 0;
}

/* The session that a worker would get now; 0: none. */
static uint64_t
take(void)
{
	struct parking parking;
	int CLEANUP_FD fd = -1;
	int r = fdpass_take(parked.workers_fd, &fd, &parking, sizeof(parking));

	assert_true(r == 0 || r == -EAGAIN);
	return r == 0 ? parking.session : 0;
}

static void
test_who_speaks_is_handed_over_and_nobody_else(void **state)
{
	(void)state;
	for (int i = 0; i < 3; i++)
		park(i, NOW_MS + TIMEOUT_MS);
	assert_int_equal(atomic_load(&board->parked), 3);
	assert_int_equal(take(), 0);
	assert_int_equal(write(hosts[1], "x", 1), 1);
	turn();
	assert_int_equal(take(), 2);
	assert_int_equal(take(), 0);
	assert_int_equal(atomic_load(&board->parked), 2);
}

/* Its time is one, wherever it spends it; but not what it waits for a worker. */
static void
test_who_speaks_has_what_is_left_of_its_time(void **state)
{
	struct parking parking;
	int CLEANUP_FD fd = -1;

	(void)state;
	park(0, NOW_MS + 10);
	assert_int_equal(write(hosts[0], "x", 1), 1);
	turn();
	assert_int_equal(fdpass_take(parked.workers_fd, &fd, &parking, sizeof(parking)), 0);
	assert_int_equal(parking.left_ms, 10);
}

static void
test_who_leaves_is_let_go_but_who_has_spoken_before(void **state)
{
	(void)state;
	for (int i = 0; i < 3; i++)
		park(i, NOW_MS + TIMEOUT_MS);
	assert_int_equal(write(hosts[2], "x", 1), 1);
	for (int i = 1; i < 3; i++)
		fd_close(&hosts[i]);
	turn();
	assert_int_equal(parked.count, 1);
	assert_int_equal(take(), 3);
	assert_int_equal(take(), 0);
}

static void
test_each_is_closed_when_its_own_time_is_over(void **state)
{
	(void)state;
	park(0, NOW_MS + 20);
	park(1, NOW_MS + 10);
	park(2, NOW_MS + 30);
	assert_int_equal(parked_step(&parked, NOW_MS), NOW_MS + 10);
	assert_int_equal(parked_step(&parked, NOW_MS + 10), NOW_MS + 20);
	assert_true(is_closed(1));
	assert_false(is_closed(0));
	assert_int_equal(parked_step(&parked, NOW_MS + 30), CLOCK_NEVER);
	assert_int_equal(parked.count, 0);
}

static void
test_who_has_spoken_is_not_closed_while_all_workers_are_busy(void **state)
{
	(void)state;
	park(0, NOW_MS + 10);
	parked.is_full = true;
	assert_int_equal(write(hosts[0], "x", 1), 1);
	assert_int_equal(parked_step(&parked, NOW_MS + 10), NOW_MS + 10 + TIMEOUT_MS);
	parked.is_full = false;
	turn();
	assert_int_equal(take(), 1);
}

static void
test_a_worker_that_ran_wild_can_t_have_one_stay_for_longer(void **state)
{
	(void)state;
	park(0, UINT64_MAX);
	assert_int_equal(parked_step(&parked, NOW_MS), NOW_MS + TIMEOUT_MS);
}

static void
test_beyond_the_limit_the_oldest_that_has_said_nothing_is_closed(void **state)
{
	(void)state;
	parked.max = 3;
	for (int i = 0; i < 3; i++)
		park(i, NOW_MS + 10 * (uint64_t)i);
	/* No turn comes between this and the next one that is parked. */
	assert_int_equal(write(hosts[0], "x", 1), 1);
	parked.is_full = true;
	park(3, NOW_MS + TIMEOUT_MS);
	assert_int_equal(parked.count, 3);
	assert_true(is_closed(1));
	assert_false(is_closed(0) || is_closed(2) || is_closed(3));
	parked.is_full = false;
	turn();
	assert_int_equal(take(), 1);
}

static void
test_time_stands_still_in_a_quiesce_and_whole_after_it(void **state)
{
	static const struct quiesce_order order;
	uint64_t number;

	(void)state;
	park(0, NOW_MS + 10);
	assert_int_equal(quiesce_claim(&board->quiesce, 0, &order, &number), 0);
	(void)parked_step(&parked, NOW_MS + 9);
	quiesce_set_phase(&board->quiesce, number, QUIESCE_RESTING);
	assert_int_equal(parked_step(&parked, NOW_MS + 5 * TIMEOUT_MS), NOW_MS + 6 * TIMEOUT_MS);
	quiesce_end(&board->quiesce, number, QUIESCE_THAW_THAW);
	assert_int_equal(parked_step(&parked, NOW_MS + 9 * TIMEOUT_MS), NOW_MS + 10 * TIMEOUT_MS);
	assert_int_equal(
	    parked_step(&parked, NOW_MS + 9 * TIMEOUT_MS + 1), NOW_MS + 10 * TIMEOUT_MS);
	assert_int_equal(parked_step(&parked, NOW_MS + 10 * TIMEOUT_MS), CLOCK_NEVER);
	assert_true(is_closed(0));
}

/* Where no worker takes them, and the queue holds no more, all still come, each once. */
static void
test_all_come_though_the_queue_is_full_for_a_while(void **state)
{
	const struct parking parking = { .session = 1, .left_ms = TIMEOUT_MS };
	unsigned filled = 0;
	unsigned taken = 0;
	int pair[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	while (fdpass_put(parked.queue_fd, pair[1], &parking, sizeof(parking)) == 0)
		filled++;
	(void)close(pair[1]);
	hosts[1] = pair[0];
	park(0, NOW_MS + TIMEOUT_MS);
	assert_int_equal(write(hosts[0], "x", 1), 1);
	turn();
	assert_true(parked.is_full);
	assert_int_equal(parked.count, 1);
	while (take() == 1)
		taken++;
	assert_int_equal(taken, filled);
	turn();
	assert_false(parked.is_full);
	turn();
	assert_int_equal(take(), 1);
	assert_int_equal(parked.count, 0);
}

static void
test_an_agent_that_ends_closes_all_and_those_that_still_come(void **state)
{
	(void)state;
	park(0, NOW_MS + TIMEOUT_MS);
	parked_end(&parked);
	park(1, NOW_MS + TIMEOUT_MS);
	assert_true(is_closed(0) && is_closed(1));
	assert_int_equal(parked.count, 0);
}

#define EACH(test) cmocka_unit_test_setup_teardown(test, open_all, close_all)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		EACH(test_who_speaks_is_handed_over_and_nobody_else),
		EACH(test_who_speaks_has_what_is_left_of_its_time),
		EACH(test_who_leaves_is_let_go_but_who_has_spoken_before),
		EACH(test_each_is_closed_when_its_own_time_is_over),
		EACH(test_who_has_spoken_is_not_closed_while_all_workers_are_busy),
		EACH(test_a_worker_that_ran_wild_can_t_have_one_stay_for_longer),
		EACH(test_beyond_the_limit_the_oldest_that_has_said_nothing_is_closed),
		EACH(test_time_stands_still_in_a_quiesce_and_whole_after_it),
		EACH(test_all_come_though_the_queue_is_full_for_a_while),
		EACH(test_an_agent_that_ends_closes_all_and_those_that_still_come),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
