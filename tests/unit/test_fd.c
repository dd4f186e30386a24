/*
 * Descriptors that close themselves, and reads and writes that must be whole.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/wait.h>
#include <cmocka.h>

#include "platform/fd.h"
#include "platform/proc.h"
#include "scratch.h"
#include "open_fds.h"

#define MUCH (300 * 1024) /* more than a pipe holds */

static bool
is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

static void
test_a_scope_closes_what_it_opened(void **state)
{
	int number;

	(void)state;
	{
		int CLEANUP_FD fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

		number = fd;
		assert_true(is_open(number));
	}
	assert_false(is_open(number));
}

static void
test_what_was_stolen_stays_open(void **state)
{
	int stolen;

	(void)state;
	{
		int CLEANUP_FD fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

		stolen = fd_steal(&fd);
		assert_int_equal(fd, -1);
	}
	assert_true(is_open(stolen));
	fd_close(&stolen);
	assert_int_equal(stolen, -1);
}

static void
test_closing_keeps_errno(void **state)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	int bad = 9999;

	(void)state;
	errno = ENOTTY;
	fd_close(&fd);
	fd_close(&fd);
	fd_close(&bad);
	assert_int_equal(errno, ENOTTY);
}

static void
test_nonblock_is_set_and_cleared(void **state)
{
	int fds[2];

	(void)state;
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	assert_int_equal(fd_set_nonblock(fds[0], true), 0);
	assert_true(fcntl(fds[0], F_GETFL) & O_NONBLOCK);
	assert_int_equal(fd_set_nonblock(fds[0], false), 0);
	assert_false(fcntl(fds[0], F_GETFL) & O_NONBLOCK);
	(void)close(fds[0]);
	(void)close(fds[1]);
	assert_int_equal(fd_set_nonblock(-1, true), -EBADF);
}

static void
test_more_than_a_pipe_holds_goes_through_whole(void **state)
{
	static uint8_t out[MUCH];
	static uint8_t in[MUCH + 1];
	int fds[2];
	int status;
	pid_t pid;

	(void)state;
	for (size_t i = 0; i < MUCH; i++)
		out[i] = (uint8_t)(i * 31 >> 3);
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0)
		_exit(fd_write_full(fds[1], out, MUCH) == 0 ? 0 : 1);
	(void)close(fds[1]);
	/* One byte more is asked for than comes: end of file. */
	assert_int_equal(fd_read_full(fds[0], in, MUCH + 1), MUCH);
	assert_memory_equal(in, out, MUCH);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	(void)close(fds[0]);
}

static void
test_errors_come_as_negative_numbers(void **state)
{
	char byte = 0;

	(void)state;
	assert_int_equal(fd_read_full(-1, &byte, 1), -EBADF);
	assert_int_equal(fd_write_full(-1, &byte, 1), -EBADF);
	assert_int_equal(fd_write_full(-1, &byte, 0), 0);
	assert_int_equal(fd_read_full(-1, &byte, 0), 0);
}

static void
test_a_small_file_is_read_whole_or_not_at_all(void **state)
{
	char buf[8];

	(void)state;
	scratch_write("seven", "1234567", 0600);
	assert_int_equal(fd_read_file(AT_FDCWD, scratch_path("seven"), buf, 8), 7);
	assert_string_equal(buf, "1234567");
	assert_int_equal(fd_read_file(AT_FDCWD, scratch_path("seven"), buf, 7), -EFBIG);
	scratch_write("empty", "", 0600);
	assert_int_equal(fd_read_file(AT_FDCWD, scratch_path("empty"), buf, 8), 0);
	assert_string_equal(buf, "");
	assert_int_equal(fd_read_file(AT_FDCWD, scratch_path("none"), buf, 8), -ENOENT);
	assert_int_equal(fd_read_file(AT_FDCWD, scratch_dir, buf, 8), -EISDIR);
}

static void
test_a_fifo_in_a_files_place_does_not_hang_us(void **state)
{
	char buf[8];

	(void)state;
	assert_int_equal(mkfifo(scratch_path("fifo"), 0600), 0);
	assert_int_equal(fd_read_file(AT_FDCWD, scratch_path("fifo"), buf, sizeof(buf)), 0);
}

static void
test_a_file_is_written_where_it_is_and_not_made(void **state)
{
	char buf[16];

	(void)state;
	scratch_write("knob", "old", 0600);
	assert_int_equal(fd_write_file(AT_FDCWD, scratch_path("knob"), "new"), 0);
	assert_int_equal(fd_read_file(AT_FDCWD, scratch_path("knob"), buf, sizeof(buf)), 3);
	assert_string_equal(buf, "new");
	assert_int_equal(fd_write_file(AT_FDCWD, scratch_path("none"), "x"), -ENOENT);
	assert_int_equal(fd_write_file(AT_FDCWD, "/dev/full", "x"), -ENOSPC);
}

static void
test_open_descriptors_are_counted_without_the_one_that_counts(void **state)
{
	int CLEANUP_FD proc_fd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int before = open_fds_count(proc_fd);
	int fd;

	(void)state;
	assert_true(before >= 1);
	fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	assert_int_equal(open_fds_count(proc_fd), before + 1);
	fd_close(&fd);
	assert_int_equal(open_fds_count(proc_fd), before);
	assert_int_equal(open_fds_count(-1), -EBADF);
}

/* In a child: closes the descriptors of MASK and counts what is left open. */
static int
count_after_closing(unsigned mask)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		for (int fd = 0; fd < 3; fd++) {
			if (mask & 1u << fd)
				(void)close(fd);
		}
		(void)close(3);
		fd_open_standard(true);
		_exit(is_open(0) | is_open(1) << 1 | is_open(2) << 2 | is_open(3) << 3);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void
test_standard_descriptors_are_opened_and_no_other(void **state)
{
	(void)state;
	for (unsigned mask = 0; mask < 8; mask++)
		assert_int_equal(count_after_closing(mask), 7);
}

static void
test_standard_descriptors_that_were_closed_can_be_as_good_as_that(void **state)
{
	char byte = 0;
	int status;
	pid_t pid = fork();

	(void)state;
	if (pid == 0) {
		for (int fd = 0; fd < 3; fd++)
			(void)close(fd);
		fd_open_standard(false);
		_exit(read(0, &byte, 1) == -1 && errno == EBADF && write(1, &byte, 1) == -1 &&
			      errno == EBADF && write(2, &byte, 1) == -1 && errno == EBADF
			  ? 0
			  : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void
name_and_look(int dir_fd)
{
	int CLEANUP_FD fd = openat(dir_fd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	struct stat named;
	struct stat own;

	assert_true(fd >= 0);
	assert_int_equal(fchown(fd, 65534, (gid_t)-1) == 0 || geteuid() != 0, 1);
	/* Another than opened it: kernels give it no name by the descriptor alone. */
	assert_int_equal(seteuid(65534) == 0 || geteuid() != 0, 1);
	assert_int_equal(proc_fd_linkat(fd, dir_fd, "named"), 0);
	assert_int_equal(proc_fd_linkat(fd, dir_fd, "named"), -EEXIST);
	assert_int_equal(seteuid(getuid()), 0);
	assert_int_equal(proc_fd_linkat(fd, dir_fd, "again"), 0);
	assert_int_equal(fstat(fd, &own), 0);
	assert_int_equal(fstatat(dir_fd, "named", &named, 0), 0);
	assert_true(named.st_ino == own.st_ino && named.st_dev == own.st_dev);
	assert_int_equal(own.st_nlink, 2);
	assert_int_equal(unlinkat(dir_fd, "named", 0), 0);
	assert_int_equal(unlinkat(dir_fd, "again", 0), 0);
}

static void
test_a_file_without_a_name_gets_one_also_from_who_did_not_open_it(void **state)
{
	int CLEANUP_FD dir_fd = open(scratch_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	(void)state;
	assert_int_equal(chmod(scratch_dir, 0777), 0);
	name_and_look(dir_fd);
	assert_int_equal(proc_init(), 0);
	name_and_look(dir_fd);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_scope_closes_what_it_opened),
		cmocka_unit_test(test_what_was_stolen_stays_open),
		cmocka_unit_test(test_closing_keeps_errno),
		cmocka_unit_test(test_nonblock_is_set_and_cleared),
		cmocka_unit_test(test_more_than_a_pipe_holds_goes_through_whole),
		cmocka_unit_test(test_errors_come_as_negative_numbers),
		cmocka_unit_test(test_a_small_file_is_read_whole_or_not_at_all),
		cmocka_unit_test(test_a_fifo_in_a_files_place_does_not_hang_us),
		cmocka_unit_test(test_a_file_is_written_where_it_is_and_not_made),
		cmocka_unit_test(test_open_descriptors_are_counted_without_the_one_that_counts),
		cmocka_unit_test(test_standard_descriptors_are_opened_and_no_other),
		cmocka_unit_test(test_standard_descriptors_that_were_closed_can_be_as_good_as_that),
		cmocka_unit_test(test_a_file_without_a_name_gets_one_also_from_who_did_not_open_it),
	};

	return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
