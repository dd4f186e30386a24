/*
 * Directories, read to their end.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "platform/dir.h"
#include "scratch.h"

static void
test_all_that_is_in_a_directory_is_read_but_for_the_dots(void **state)
{
	DIR CLEANUP_DIR *dir = NULL;
	struct dirent *entry;
	char seen[3] = "";

	(void)state;
	scratch_write("a", "", 0600);
	scratch_write("b", "", 0600);
	assert_int_equal(dir_open(AT_FDCWD, scratch_dir, 0, &dir), 0);
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(dir_next(dir, &entry), 0);
		assert_non_null(entry);
		assert_int_equal(strlen(entry->d_name), 1);
		seen[i] = entry->d_name[0];
	}
	assert_true(strcmp(seen, "ab") == 0 || strcmp(seen, "ba") == 0);
	assert_int_equal(dir_next(dir, &entry), 0);
	assert_null(entry);
}

static void
test_an_error_is_not_taken_for_the_end(void **state)
{
	int fd = open(scratch_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR CLEANUP_DIR *dir = NULL;
	struct dirent *entry = NULL;

	(void)state;
	assert_int_equal(dir_take(fd, &dir), 0);
	(void)close(fd);
	assert_int_equal(dir_next(dir, &entry), -EBADF);
	assert_null(entry);
}

static void
test_an_errno_of_before_is_no_error_of_reading(void **state)
{
	DIR CLEANUP_DIR *dir = NULL;
	struct dirent *entry;

	(void)state;
	assert_int_equal(dir_open(AT_FDCWD, scratch_dir, 0, &dir), 0);
	do {
		errno = ENOTTY;
		assert_int_equal(dir_next(dir, &entry), 0);
	} while (entry != NULL);
}

static void
test_what_is_no_directory_is_not_opened_and_links_only_where_wanted(void **state)
{
	DIR CLEANUP_DIR *dir = NULL;

	(void)state;
	scratch_write("file", "", 0600);
	assert_int_equal(symlink(scratch_dir, scratch_path("link")), 0);
	assert_int_equal(dir_open(AT_FDCWD, scratch_path("file"), 0, &dir), -ENOTDIR);
	assert_int_equal(dir_open(AT_FDCWD, scratch_path("none"), 0, &dir), -ENOENT);
	assert_int_equal(dir_open(AT_FDCWD, scratch_path("link"), O_NOFOLLOW, &dir), -ENOTDIR);
	assert_null(dir);
	assert_int_equal(dir_open(AT_FDCWD, scratch_path("link"), 0, &dir), 0);
}

static void
test_a_descriptor_is_taken_over_on_failure_too(void **state)
{
	DIR CLEANUP_DIR *dir = NULL;
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	(void)state;
	assert_int_equal(dir_take(fd, &dir), -ENOTDIR);
	assert_null(dir);
	assert_int_equal(fcntl(fd, F_GETFD), -1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    test_all_that_is_in_a_directory_is_read_but_for_the_dots, scratch_make,
		    scratch_remove),
		cmocka_unit_test_setup_teardown(
		    test_an_error_is_not_taken_for_the_end, scratch_make, scratch_remove),
		cmocka_unit_test_setup_teardown(
		    test_an_errno_of_before_is_no_error_of_reading, scratch_make, scratch_remove),
		cmocka_unit_test_setup_teardown(
		    test_what_is_no_directory_is_not_opened_and_links_only_where_wanted,
		    scratch_make, scratch_remove),
		cmocka_unit_test(test_a_descriptor_is_taken_over_on_failure_too),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
