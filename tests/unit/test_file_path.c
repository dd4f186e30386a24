/*
 * Paths as requests have them, taken apart.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "session/file/path.h"

static void
assert_split(const char *path, const char *dir, const char *name, bool slash)
{
	struct file_parts parts;

	assert_int_equal(file_path_split(path, &parts), 0);
	if (strcmp(parts.dir, dir) != 0 || strcmp(parts.name, name) != 0 || parts.slash != slash)
		fail_msg("%s is '%s' '%s' %d", path, parts.dir, parts.name, parts.slash);
}

static void
assert_last(const char *path, const char *name)
{
	char last[NAME_MAX + 1];

	file_path_last(path, last);
	assert_string_equal(last, name);
}

static void
test_a_relative_path_starts_at_the_root(void **state)
{
	char path[PATH_MAX];

	(void)state;
	assert_int_equal(file_path_parse("a/b", path), 0);
	assert_string_equal(path, "/a/b");
	assert_int_equal(file_path_parse("/a/b", path), 0);
	assert_string_equal(path, "/a/b");
	assert_int_equal(file_path_parse("", path), -EINVAL);
}

static void
test_a_path_that_fits_no_buffer_is_refused(void **state)
{
	char given[2 * PATH_MAX];
	char path[PATH_MAX];

	(void)state;
	memset(given, 'a', sizeof(given));
	given[PATH_MAX - 1] = '\0';
	/* The slash in front is one too many. */
	assert_int_equal(file_path_parse(given, path), -ENAMETOOLONG);
	given[0] = '/';
	assert_int_equal(file_path_parse(given, path), 0);
	assert_int_equal(strlen(path), PATH_MAX - 1);
	given[PATH_MAX - 1] = 'a';
	given[PATH_MAX] = '\0';
	assert_int_equal(file_path_parse(given, path), -ENAMETOOLONG);
}

static void
test_a_path_is_split_at_its_last_slash(void **state)
{
	(void)state;
	assert_split("/a/b", "/a", "b", false);
	assert_split("/b", "/", "b", false);
	assert_split("b", ".", "b", false);
	assert_split("a/b", "a", "b", false);
	assert_split("/a/..", "/a", "..", false);
}

static void
test_slashes_behind_a_name_are_taken_off_and_told(void **state)
{
	(void)state;
	assert_split("/a/link/", "/a", "link", true);
	assert_split("/a/link///", "/a", "link", true);
	assert_split("link/", ".", "link", true);
}

static void
test_the_root_is_a_dot_in_itself(void **state)
{
	struct file_parts parts;

	(void)state;
	assert_int_equal(file_path_split("/", &parts), 0);
	assert_string_equal(parts.dir, "/");
	assert_string_equal(parts.name, ".");
	assert_int_equal(file_path_split("///", &parts), 0);
	assert_string_equal(parts.dir, "/");
	assert_string_equal(parts.name, ".");
	assert_int_equal(file_path_split("", &parts), -EINVAL);
}

static void
test_a_name_longer_than_any_is_refused(void **state)
{
	char path[NAME_MAX + 8] = "/d/";
	struct file_parts parts;

	(void)state;
	memset(path + 3, 'n', NAME_MAX + 1);
	path[3 + NAME_MAX + 1] = '\0';
	assert_int_equal(file_path_split(path, &parts), -ENAMETOOLONG);
	path[3 + NAME_MAX] = '\0';
	assert_int_equal(file_path_split(path, &parts), 0);
	assert_int_equal(strlen(parts.name), NAME_MAX);
}

static void
test_an_entry_is_shown_by_its_last_part(void **state)
{
	(void)state;
	assert_last("/a/x/", "x");
	assert_last("/x", "x");
	assert_last("/", "/");
	assert_last("//", "/");
}

static void
test_dots_are_one_or_two_and_no_more(void **state)
{
	(void)state;
	assert_true(file_path_is_dots("."));
	assert_true(file_path_is_dots(".."));
	assert_false(file_path_is_dots("..."));
	assert_false(file_path_is_dots(".a"));
	assert_false(file_path_is_dots("..a"));
	assert_false(file_path_is_dots(""));
}

static void
test_two_parts_are_joined_by_one_slash(void **state)
{
	char path[8];

	(void)state;
	assert_int_equal(file_path_join(path, sizeof(path), "/a", "b"), 0);
	assert_string_equal(path, "/a/b");
	assert_int_equal(file_path_join(path, sizeof(path), "/", "b"), 0);
	assert_string_equal(path, "/b");
	assert_int_equal(file_path_join(path, sizeof(path), "/abc", "de"), 0);
	assert_string_equal(path, "/abc/de");
	assert_int_equal(file_path_join(path, sizeof(path), "/abc", "def"), -ENAMETOOLONG);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_relative_path_starts_at_the_root),
		cmocka_unit_test(test_a_path_that_fits_no_buffer_is_refused),
		cmocka_unit_test(test_a_path_is_split_at_its_last_slash),
		cmocka_unit_test(test_slashes_behind_a_name_are_taken_off_and_told),
		cmocka_unit_test(test_the_root_is_a_dot_in_itself),
		cmocka_unit_test(test_a_name_longer_than_any_is_refused),
		cmocka_unit_test(test_an_entry_is_shown_by_its_last_part),
		cmocka_unit_test(test_dots_are_one_or_two_and_no_more),
		cmocka_unit_test(test_two_parts_are_joined_by_one_slash),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
