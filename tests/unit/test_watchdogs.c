/*
 * Unit tests of supervisor/watchdogs.
 *
 * SPDX-License-Identifier: MIT
 */
#include "supervisor/watchdogs.h"

#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "platform/clock.h"
#include "platform/fd.h"
#include "platform/watchdog.h"

#define WORKERS 3
#define INDEX 1
#define TIMEOUT_MS 50

static struct watchdogs watchdogs;

/* A worker that sets its watchdog and does nothing more. */
static pid_t
start_at(uint32_t index, uint32_t timeout_ms)
{
	int fd = -1;
	pid_t pid;

	assert_int_equal(watchdogs_open(&watchdogs, index, &fd), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		watchdog_init(fd);
		watchdog_set(timeout_ms);
		for (;;)
			(void)pause();
	}
	fd_close(&fd);
	watchdogs_start(&watchdogs, index, pid);
	return pid;
}

static pid_t
start(uint32_t timeout_ms)
{
	return start_at(INDEX, timeout_ms);
}

static int
shows(int timeout_ms)
{
	struct pollfd wait = { .fd = watchdogs.wait_fd, .events = POLLIN };

	return poll(&wait, 1, timeout_ms);
}

/* Until the time of that worker is up. */
static void
wait_for_timer(uint32_t index)
{
	struct pollfd wait = { .fd = watchdogs.entries[index].timer_fd, .events = POLLIN };

	assert_int_equal(poll(&wait, 1, 20000), 1);
}

static void
end(pid_t pid)
{
	(void)kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void
test_a_worker_that_lets_its_time_pass_is_killed(void **state)
{
	pid_t pid = start(TIMEOUT_MS);
	uint32_t index = WORKERS;
	int status;

	(void)state;
	assert_int_equal(shows(20000), 1);
	assert_false(watchdogs_step(&watchdogs, clock_mono_ms(), &index));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	watchdogs_close(&watchdogs, INDEX);
	assert_true(watchdogs_next_ms(&watchdogs) == CLOCK_NEVER);
	assert_false(watchdogs_step(&watchdogs, CLOCK_NEVER - 1, &index));
}

/* It runs wild, and its timer is due again at once. */
static void
test_one_whose_timer_is_always_due_holds_nobody(void **state)
{
	pid_t pid = start(TIMEOUT_MS);
	const struct itimerspec always = { .it_interval.tv_nsec = 1, .it_value.tv_nsec = 1 };
	uint32_t index = WORKERS;

	(void)state;
	/* What it sets itself comes first. */
	wait_for_timer(INDEX);
	assert_int_equal(timerfd_settime(watchdogs.entries[INDEX].timer_fd, 0, &always, NULL), 0);
	assert_int_equal(shows(20000), 1);
	(void)alarm(20); /* ends the test */
	assert_false(watchdogs_step(&watchdogs, clock_mono_ms(), &index));
	(void)alarm(0);
	watchdogs_close(&watchdogs, INDEX);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

/* A zombie that nobody has reaped does as well as one that can't die. */
static void
test_one_that_does_not_die_is_given_up(void **state)
{
	pid_t pid = start(TIMEOUT_MS);
	uint64_t now = clock_mono_ms();
	uint32_t index = WORKERS;

	(void)state;
	assert_int_equal(shows(20000), 1);
	assert_false(watchdogs_step(&watchdogs, now, &index));
	assert_int_equal(watchdogs_next_ms(&watchdogs), now + WATCHDOGS_DEATH_MS);
	assert_false(watchdogs_step(&watchdogs, now + WATCHDOGS_DEATH_MS - 1, &index));
	assert_true(watchdogs_step(&watchdogs, now + WATCHDOGS_DEATH_MS, &index));
	assert_int_equal(index, INDEX);
	watchdogs_close(&watchdogs, INDEX);
	assert_false(watchdogs_step(&watchdogs, now + WATCHDOGS_DEATH_MS, &index));
	watchdogs_forget(&watchdogs, pid);
	end(pid);
}

static void
test_one_that_was_given_up_does_not_show_any_more(void **state)
{
	pid_t pid = start(TIMEOUT_MS);

	(void)state;
	watchdogs_close(&watchdogs, INDEX);
	assert_int_equal(shows(5 * TIMEOUT_MS), 0);
	end(pid);
}

static void
test_a_worker_in_time_is_left_alone(void **state)
{
	pid_t pid = start(0);
	uint32_t index = WORKERS;

	(void)state;
	assert_int_equal(shows(5 * TIMEOUT_MS), 0);
	assert_false(watchdogs_step(&watchdogs, clock_mono_ms(), &index));
	assert_int_equal(waitpid(pid, NULL, WNOHANG), 0);
	watchdogs_close(&watchdogs, INDEX);
	end(pid);
}

/* Our own watchdog, whose time is over. Returns its timer, for close_due(). */
static int
open_due(void)
{
	int fd = -1;

	assert_int_equal(watchdogs_open(&watchdogs, INDEX, &fd), 0);
	watchdogs_start(&watchdogs, INDEX, getpid());
	watchdog_init(fd);
	watchdog_set(1);
	assert_int_equal(shows(20000), 1);
	return fd;
}

static void
close_due(int *fd)
{
	watchdogs_close(&watchdogs, INDEX);
	watchdog_init(-1);
	fd_close(fd);
}

static void
test_one_who_called_it_off_in_the_last_moment_is_left_alone(void **state)
{
	uint32_t index = WORKERS;
	int fd = open_due();

	(void)state;
	watchdog_set(0);
	assert_false(watchdogs_step(&watchdogs, clock_mono_ms(), &index));
	assert_true(watchdogs_next_ms(&watchdogs) == CLOCK_NEVER);
	close_due(&fd);
}

/* Its time passed while nobody looked. */
static void
test_one_that_stood_still_with_all_others_has_its_time_again(void **state)
{
	uint64_t now = clock_mono_ms();
	struct itimerspec left;
	uint32_t index = WORKERS;
	int fd = open_due();

	(void)state;
	watchdogs_renew(&watchdogs, now);
	assert_false(watchdogs_step(&watchdogs, now, &index));
	assert_int_equal(shows(0), 0);
	assert_int_equal(timerfd_gettime(fd, &left), 0);
	assert_in_range(left.it_value.tv_sec, 1, WATCHDOGS_RENEW_MS / 1000);
	watchdogs.renew_until_ms = 0;
	close_due(&fd);
}

static void
test_the_time_is_given_again_soon_after_that_alone(void **state)
{
	uint64_t now = clock_mono_ms();
	pid_t pid = start(1);
	uint32_t index = WORKERS;

	(void)state;
	assert_int_equal(shows(20000), 1);
	watchdogs_renew(&watchdogs, now);
	assert_false(watchdogs_step(&watchdogs, now + WATCHDOGS_RENEW_MS, &index));
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	watchdogs.renew_until_ms = 0;
	watchdogs_close(&watchdogs, INDEX);
}

/* All of them are stuck. */
static void
test_no_more_than_half_are_given_up_at_a_time(void **state)
{
	pid_t pids[WORKERS];
	uint64_t now = clock_mono_ms();
	uint32_t index;

	(void)state;
	for (uint32_t i = 0; i < WORKERS; i++)
		pids[i] = start_at(i, 1);
	for (uint32_t i = 0; i < WORKERS; i++)
		wait_for_timer(i);
	assert_false(watchdogs_step(&watchdogs, now, &index));
	now += WATCHDOGS_DEATH_MS;
	for (int i = 0; i < (WORKERS + 1) / 2; i++) {
		assert_true(watchdogs_step(&watchdogs, now, &index));
		assert_true(watchdogs_has_lost(&watchdogs, pids[index]));
		watchdogs_close(&watchdogs, index);
	}
	assert_false(watchdogs_step(&watchdogs, now, &index));
	assert_true(watchdogs_next_ms(&watchdogs) == CLOCK_NEVER);
	assert_false(watchdogs_has_lost(&watchdogs, pids[WORKERS - 1]));
	watchdogs_forget(&watchdogs, pids[0]);
	assert_false(watchdogs_has_lost(&watchdogs, pids[0]));
	assert_true(watchdogs_step(&watchdogs, now, &index));
	assert_int_equal(index, WORKERS - 1);
	for (uint32_t i = 0; i < WORKERS; i++) {
		watchdogs_close(&watchdogs, i);
		watchdogs_forget(&watchdogs, pids[i]);
		end(pids[i]);
	}
}

static int
make(void **state)
{
	(void)state;
	return watchdogs_init(&watchdogs, WORKERS);
}

static int
drop(void **state)
{
	(void)state;
	fd_close(&watchdogs.wait_fd);
	free(watchdogs.entries);
	free(watchdogs.lost);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_worker_that_lets_its_time_pass_is_killed),
		cmocka_unit_test(test_one_whose_timer_is_always_due_holds_nobody),
		cmocka_unit_test(test_one_that_does_not_die_is_given_up),
		cmocka_unit_test(test_one_that_was_given_up_does_not_show_any_more),
		cmocka_unit_test(test_a_worker_in_time_is_left_alone),
		cmocka_unit_test(test_one_who_called_it_off_in_the_last_moment_is_left_alone),
		cmocka_unit_test(test_one_that_stood_still_with_all_others_has_its_time_again),
		cmocka_unit_test(test_the_time_is_given_again_soon_after_that_alone),
		cmocka_unit_test(test_no_more_than_half_are_given_up_at_a_time),
	};

	return cmocka_run_group_tests(tests, make, drop);
}
