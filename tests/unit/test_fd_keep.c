/*
 * Descriptors that outlive the process that opened them; and how long a hold is.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "platform/fd.h"
#include "platform/fd_keep.h"
#include "platform/fdpass.h"
#include "platform/hold_timer.h"

static int read_fd = -1;
static int write_fd = -1;

static int
open_queue(void **state)
{
	(void)state;
	return fdpass_open(&read_fd, &write_fd);
}

static int
close_queue(void **state)
{
	(void)state;
	fd_close(&read_fd);
	fd_close(&write_fd);
	return 0;
}

/* Opens COUNT files, each as long as its number, puts them there, and is killed. */
static void
put_and_die(int count)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		int fds[FD_KEEP_MAX];

		for (int i = 0; i < count; i++) {
			fds[i] = memfd_create("kept", MFD_CLOEXEC);
			if (fds[i] < 0 || ftruncate(fds[i], i + 1) < 0)
				_exit(1);
		}
		if (fd_keep_put(write_fd, fds, (size_t)count) < 0)
			_exit(2);
		(void)kill(getpid(), SIGKILL);
	}
	assert_int_equal(waitpid(pid, &count, 0), pid);
	assert_true(WIFSIGNALED(count));
}

static void
assert_kept(int count)
{
	int fds[FD_KEEP_MAX];

	assert_int_equal(fd_keep_look(read_fd, fds), count);
	for (int i = 0; i < count; i++) {
		struct stat status;

		assert_int_equal(fstat(fds[i], &status), 0);
		assert_int_equal(status.st_size, i + 1);
		assert_int_equal(close(fds[i]), 0);
	}
}

static void
test_what_a_process_that_was_killed_had_open_is_there_as_often_as_one_looks(void **state)
{
	(void)state;
	put_and_die(3);
	assert_kept(3);
	assert_kept(3);
	assert_int_equal(fdpass_drop(read_fd), 0);
	assert_int_equal(fd_keep_look(read_fd, (int[FD_KEEP_MAX]){ 0 }), -EAGAIN);
}

static void
test_as_many_are_kept_as_there_is_room_for(void **state)
{
	(void)state;
	put_and_die(FD_KEEP_MAX);
	assert_kept(FD_KEEP_MAX);
}

static void
test_nothing_is_kept_where_nothing_was_put(void **state)
{
	int fds[FD_KEEP_MAX];

	(void)state;
	assert_int_equal(fd_keep_look(read_fd, fds), -EAGAIN);
	assert_int_equal(fd_keep_put(write_fd, &(int){ -1 }, 1), -EBADF);
	assert_int_equal(fd_keep_look(read_fd, fds), -EAGAIN);
}

/* ---- the hold -------------------------------------------------------------- */

static void
test_a_hold_is_over_at_its_time(void **state)
{
	struct hold_timer timer;

	(void)state;
	hold_timer_begin(&timer, 1000, 30000, true);
	assert_false(hold_timer_is_over(&timer, 1000, false));
	assert_false(hold_timer_is_over(&timer, 30999, true));
	assert_true(hold_timer_is_over(&timer, 31000, true));
	assert_true(hold_timer_is_over(&timer, 33000, true));
}

static void
test_after_a_jump_there_is_time_for_whoever_restores_once(void **state)
{
	struct hold_timer timer;

	(void)state;
	hold_timer_begin(&timer, 1000, 30000, true);
	assert_false(hold_timer_is_over(&timer, 86400000, true));
	assert_false(hold_timer_is_over(&timer, 86401999, true));
	assert_true(hold_timer_is_over(&timer, 86402000, true));
	/* Another jump gives no more. */
	assert_true(hold_timer_is_over(&timer, 99900000, true));
}

static void
test_a_jump_is_the_end_where_nobody_is_to_restore(void **state)
{
	struct hold_timer timer;

	(void)state;
	hold_timer_begin(&timer, 1000, 30000, false);
	assert_true(hold_timer_is_over(&timer, 86400000, true));
}

static void
test_a_call_that_took_long_is_not_a_jump(void **state)
{
	struct hold_timer timer;

	(void)state;
	hold_timer_begin(&timer, 1000, 500, true);
	assert_true(hold_timer_is_over(&timer, 60000, false));
}

static void
test_the_timer_is_due_at_its_time_and_not_before(void **state)
{
	int CLEANUP_FD fd = hold_timer_open();
	struct pollfd wait = { .fd = fd, .events = POLLIN };
	uint64_t due;

	(void)state;
	assert_true(fd >= 0);
	hold_timer_set(fd, hold_timer_now_ms() + 600000);
	assert_int_equal(poll(&wait, 1, 0), 0);
	due = hold_timer_now_ms() + 20;
	hold_timer_set(fd, due);
	assert_int_equal(poll(&wait, 1, 60000), 1);
	assert_true(hold_timer_now_ms() >= due);
}

#define KEEP_TEST(name) cmocka_unit_test_setup_teardown(name, open_queue, close_queue)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		KEEP_TEST(
		    test_what_a_process_that_was_killed_had_open_is_there_as_often_as_one_looks),
		KEEP_TEST(test_as_many_are_kept_as_there_is_room_for),
		KEEP_TEST(test_nothing_is_kept_where_nothing_was_put),
		cmocka_unit_test(test_a_hold_is_over_at_its_time),
		cmocka_unit_test(test_after_a_jump_there_is_time_for_whoever_restores_once),
		cmocka_unit_test(test_a_jump_is_the_end_where_nobody_is_to_restore),
		cmocka_unit_test(test_a_call_that_took_long_is_not_a_jump),
		cmocka_unit_test(test_the_timer_is_due_at_its_time_and_not_before),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
