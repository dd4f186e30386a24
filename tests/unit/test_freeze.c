/*
 * How the wait for a cgroup that stands still ends, by files that are like a cgroup's. That
 * file systems and cgroups freeze is the virtual machine's to show.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "platform/bell.h"
#include "platform/clock.h"
#include "platform/fd.h"
#include "platform/freeze.h"
#include "scratch.h"

#define LONG_MS 60000
#define SHORT_MS 20

static int
open_cgroup(const char *events)
{
	int fd;

	if (events != NULL)
		scratch_write("cgroup.events", events, 0644);
	scratch_write("cgroup.freeze", "0", 0644);
	fd = open(scratch_path("."), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(fd >= 0);
	return fd;
}

static void
assert_freeze_file(int cgroup_fd, char expected)
{
	char text[8];

	assert_true(fd_read_file(cgroup_fd, "cgroup.freeze", text, sizeof(text)) > 0);
	assert_int_equal(text[0], expected);
}

static void
test_a_cgroup_is_frozen_and_thawed_by_a_digit(void **state)
{
	int CLEANUP_FD fd = open_cgroup(NULL);

	(void)state;
	assert_int_equal(freeze_cgroup(fd, true), 0);
	assert_freeze_file(fd, '1');
	assert_int_equal(freeze_cgroup(fd, false), 0);
	assert_freeze_file(fd, '0');
	assert_int_equal(unlinkat(fd, "cgroup.freeze", 0), 0);
	assert_int_equal(freeze_cgroup(fd, true), -ENOENT);
}

static void
test_a_cgroup_that_stands_still_is_not_waited_for(void **state)
{
	int CLEANUP_FD fd = open_cgroup("populated 1\nfrozen 1\n");

	(void)state;
	assert_int_equal(freeze_await_cgroup(fd, true, -1, clock_mono_ms() + LONG_MS), 0);
	assert_int_equal(freeze_await_cgroup(fd, true, -1, 0), 0);
}

static void
test_a_process_that_does_not_stop_is_waited_for_until_the_deadline(void **state)
{
	int CLEANUP_FD fd = open_cgroup("populated 1\nfrozen 0\n");
	uint64_t deadline = clock_mono_ms() + SHORT_MS;

	(void)state;
	assert_int_equal(freeze_await_cgroup(fd, true, -1, deadline), -ETIMEDOUT);
	assert_true(clock_mono_ms() >= deadline);
	assert_int_equal(freeze_await_cgroup(fd, false, -1, clock_mono_ms() + LONG_MS), 0);
}

static void
test_whoever_rings_ends_the_wait(void **state)
{
	int CLEANUP_FD fd = open_cgroup("populated 1\nfrozen 0\n");
	int CLEANUP_FD bell_fd = bell_open();

	(void)state;
	bell_ring(bell_fd);
	assert_int_equal(freeze_await_cgroup(fd, true, bell_fd, clock_mono_ms() + LONG_MS), -EINTR);
}

static void
test_a_kernel_that_says_nothing_of_a_freeze_is_an_error(void **state)
{
	int CLEANUP_FD fd = open_cgroup("populated 1\n");

	(void)state;
	assert_int_equal(freeze_await_cgroup(fd, true, -1, clock_mono_ms() + LONG_MS), -ENODATA);
	assert_int_equal(unlinkat(fd, "cgroup.events", 0), 0);
	assert_int_equal(freeze_await_cgroup(fd, true, -1, clock_mono_ms() + LONG_MS), -ENOENT);
}

static void
test_what_is_not_open_cannot_be_frozen_thawed_or_synced(void **state)
{
	(void)state;
	assert_int_equal(freeze_files(-1), -EBADF);
	assert_int_equal(freeze_thaw_files(-1), -EBADF);
	assert_int_equal(freeze_sync(-1), -EBADF);
}

#define FREEZE_TEST(name) cmocka_unit_test_setup_teardown(name, scratch_make, scratch_remove)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		FREEZE_TEST(test_a_cgroup_is_frozen_and_thawed_by_a_digit),
		FREEZE_TEST(test_a_cgroup_that_stands_still_is_not_waited_for),
		FREEZE_TEST(test_a_process_that_does_not_stop_is_waited_for_until_the_deadline),
		FREEZE_TEST(test_whoever_rings_ends_the_wait),
		FREEZE_TEST(test_a_kernel_that_says_nothing_of_a_freeze_is_an_error),
		cmocka_unit_test(test_what_is_not_open_cannot_be_frozen_thawed_or_synced),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
