/*
 * Where a path leads: a directory, a name, and what stands there.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "platform/proc.h"
#include "scratch.h"
#include "session/file/place.h"

static int
setup(void **state)
{
	if (scratch_make(state) < 0 || proc_init() < 0)
		return -1;
	scratch_write("file", "text", 0644);
	if (mkdir(scratch_path("dir"), 0755) < 0 || mkdir(scratch_path("shared"), 0755) < 0 ||
	    chmod(scratch_path("shared"), 01777) < 0 ||
	    symlink("dir/none", scratch_path("dangling")) < 0 ||
	    symlink("file", scratch_path("link")) < 0 || symlink("link", scratch_path("two")) < 0 ||
	    symlink("circle", scratch_path("circle")) < 0 ||
	    symlink("../file", scratch_path("shared/link")) < 0)
		return -1;
	return 0;
}

static void
test_a_file_is_found_with_its_directory_and_name(void **state)
{
	struct file_place FILE_PLACE_SCOPE place = FILE_PLACE_NONE;
	struct stat status;

	(void)state;
	assert_int_equal(file_place_open(scratch_path("file"), 0, &place), 0);
	assert_string_equal(place.name, "file");
	assert_int_equal(place.status.st_size, 4);
	assert_int_equal(fstatat(place.dir_fd, "dir", &status, 0), 0);
	assert_false(place.slash || place.magic || place.made_dirs);
}

static void
test_nothing_there_is_no_error_and_a_missing_directory_is(void **state)
{
	struct file_place FILE_PLACE_SCOPE place = FILE_PLACE_NONE;

	(void)state;
	assert_int_equal(file_place_open(scratch_path("none"), 0, &place), 0);
	assert_int_equal(place.fd, -1);
	file_place_close(&place);
	assert_int_equal(file_place_open(scratch_path("none/x"), 0, &place), -ENOENT);
	assert_int_equal(place.dir_fd, -1);
	assert_int_equal(file_place_open(scratch_path("file/x"), 0, &place), -ENOTDIR);
}

static void
test_missing_directories_are_made_where_that_is_asked_for(void **state)
{
	struct file_place FILE_PLACE_SCOPE place = FILE_PLACE_NONE;
	mode_t before = umask(077);
	struct stat status;

	(void)state;
	assert_int_equal(
	    file_place_open(scratch_path("m/a/d/e/x"), FILE_PLACE_MAKE_DIRS, &place), 0);
	assert_int_equal(umask(before), 077);
	assert_true(place.made_dirs);
	assert_int_equal(stat(scratch_path("m/a/d/e"), &status), 0);
	assert_int_equal(status.st_mode & 07777, 0755);
}

static void
test_a_link_is_itself_unless_it_is_to_be_followed(void **state)
{
	struct file_place FILE_PLACE_SCOPE place = FILE_PLACE_NONE;

	(void)state;
	assert_int_equal(file_place_open(scratch_path("two"), 0, &place), 0);
	assert_true(S_ISLNK(place.status.st_mode));
	file_place_close(&place);
	assert_int_equal(file_place_open(scratch_path("two"), FILE_PLACE_FOLLOW, &place), 0);
	assert_true(S_ISREG(place.status.st_mode));
	assert_string_equal(place.name, "file");
}

static void
test_a_dangling_link_leads_to_where_its_target_would_be(void **state)
{
	struct file_place FILE_PLACE_SCOPE place = FILE_PLACE_NONE;

	(void)state;
	assert_int_equal(file_place_open(scratch_path("dangling"), FILE_PLACE_FOLLOW, &place), 0);
	assert_int_equal(place.fd, -1);
	assert_string_equal(place.name, "none");
}

static void
test_links_without_end_are_eloop(void **state)
{
	struct file_place place = FILE_PLACE_NONE;

	(void)state;
	assert_int_equal(
	    file_place_open(scratch_path("circle"), FILE_PLACE_FOLLOW, &place), -ELOOP);
}

static void
test_a_slash_asks_for_a_directory(void **state)
{
	struct file_place FILE_PLACE_SCOPE place = FILE_PLACE_NONE;

	(void)state;
	assert_int_equal(file_place_open(scratch_path("dir/"), 0, &place), 0);
	assert_true(place.slash);
	file_place_close(&place);
	assert_int_equal(file_place_open(scratch_path("file/"), 0, &place), -ENOTDIR);
	assert_int_equal(file_place_open(scratch_path("link/"), 0, &place), -ENOTDIR);
}

static void
test_a_stranger_s_link_in_a_shared_directory_is_not_followed(void **state)
{
	struct file_place FILE_PLACE_SCOPE place = FILE_PLACE_NONE;

	(void)state;
	assert_int_equal(
	    file_place_open(scratch_path("shared/link"), FILE_PLACE_FOLLOW, &place), 0);
	file_place_close(&place);
	/* Only root can make a stranger's link; who is not root has nothing to fear. */
	if (geteuid() != 0)
		fail_msg("this test must run as root");
	assert_int_equal(lchown(scratch_path("shared/link"), 1234, 1234), 0);
	assert_int_equal(
	    file_place_open(scratch_path("shared/link"), FILE_PLACE_FOLLOW, &place), -EACCES);
}

static void
test_a_file_is_opened_again_whatever_has_its_name_now(void **state)
{
	struct file_place FILE_PLACE_SCOPE place = FILE_PLACE_NONE;
	int CLEANUP_FD fd = -1;
	struct stat status;

	(void)state;
	scratch_write("old", "old content", 0644);
	assert_int_equal(file_place_open(scratch_path("old"), 0, &place), 0);
	scratch_write("old", "new", 0644);
	fd = file_place_reopen(&place, O_RDONLY);
	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &status), 0);
	assert_int_equal(status.st_size, 11);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_file_is_found_with_its_directory_and_name),
		cmocka_unit_test(test_nothing_there_is_no_error_and_a_missing_directory_is),
		cmocka_unit_test(test_missing_directories_are_made_where_that_is_asked_for),
		cmocka_unit_test(test_a_link_is_itself_unless_it_is_to_be_followed),
		cmocka_unit_test(test_a_dangling_link_leads_to_where_its_target_would_be),
		cmocka_unit_test(test_links_without_end_are_eloop),
		cmocka_unit_test(test_a_slash_asks_for_a_directory),
		cmocka_unit_test(test_a_stranger_s_link_in_a_shared_directory_is_not_followed),
		cmocka_unit_test(test_a_file_is_opened_again_whatever_has_its_name_now),
	};

	return cmocka_run_group_tests(tests, setup, scratch_remove);
}
