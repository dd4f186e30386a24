/*
 * Paths as requests have them, taken apart.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "session/file_path.h"

static void
fill(char *text, size_t len)
{
	memset(text, 'x', len);
	text[len] = '\0';
}

static void
assert_split(const char *path, const char *dir, const char *name, bool slash)
{
	struct file_parts parts;

	assert_int_equal(file_path_split(path, &parts), 0);
	assert_string_equal(parts.dir, dir);
	assert_string_equal(parts.name, name);
	assert_int_equal(parts.slash, slash);
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
	assert_int_equal(file_path_parse("/", path), 0);
	assert_string_equal(path, "/");
}

static void
test_an_empty_path_is_refused(void **state)
{
	struct file_parts parts;
	char path[PATH_MAX];

	(void)state;
	assert_int_equal(file_path_parse("", path), -EINVAL);
	assert_int_equal(file_path_split("", &parts), -EINVAL);
}

static void
test_a_path_may_fill_path_max_and_no_byte_more(void **state)
{
	char given[PATH_MAX + 1];
	char path[PATH_MAX];

	(void)state;
	fill(given, PATH_MAX - 2);
	assert_int_equal(file_path_parse(given, path), 0);
	assert_int_equal(strlen(path), PATH_MAX - 1);
	fill(given, PATH_MAX - 1);
	assert_int_equal(file_path_parse(given, path), -ENAMETOOLONG);
	given[0] = '/';
	assert_int_equal(file_path_parse(given, path), 0);
	fill(given, PATH_MAX);
	given[0] = '/';
	assert_int_equal(file_path_parse(given, path), -ENAMETOOLONG);
}

static void
test_a_path_is_split_at_its_last_slash(void **state)
{
	(void)state;
	assert_split("/a/b/c", "/a/b", "c", false);
	assert_split("/a", "/", "a", false);
	assert_split("a/b", "a", "b", false);
	assert_split("a", ".", "a", false);
	assert_split("//a//b", "//a", "b", false);
	assert_split("/a/..", "/a", "..", false);
}

static void
test_slashes_at_the_end_are_taken_off_and_told_of(void **state)
{
	(void)state;
	assert_split("/a/b/", "/a", "b", true);
	assert_split("/a///", "/", "a", true);
	assert_split("a/", ".", "a", true);
}

static void
test_the_root_is_dot_in_itself(void **state)
{
	(void)state;
	assert_split("/", "/", ".", true);
	assert_split("///", "/", ".", true);
}

static void
test_a_name_may_fill_name_max_and_no_byte_more(void **state)
{
	char path[NAME_MAX + 3] = "/";
	struct file_parts parts;

	(void)state;
	fill(path + 1, NAME_MAX);
	assert_int_equal(file_path_split(path, &parts), 0);
	assert_int_equal(strlen(parts.name), NAME_MAX);
	fill(path + 1, NAME_MAX + 1);
	assert_int_equal(file_path_split(path, &parts), -ENAMETOOLONG);
}

static void
test_only_one_and_two_dots_are_dots(void **state)
{
	(void)state;
	assert_true(file_path_is_dots("."));
	assert_true(file_path_is_dots(".."));
	assert_false(file_path_is_dots("..."));
	assert_false(file_path_is_dots(".a"));
	assert_false(file_path_is_dots(""));
}

static void
test_the_last_part_is_what_an_entry_shows(void **state)
{
	static const struct {
		const char *path, *last;
	} cases[] = { { "/a/b", "b" }, { "/a/b//", "b" }, { "/", "/" }, { "//", "/" },
		{ "/a/.", "." }, { "/.hidden", ".hidden" } };
	char last[NAME_MAX + 1];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		file_path_last(cases[i].path, last);
		assert_string_equal(last, cases[i].last);
	}
}

static void
test_a_directory_and_a_name_are_joined_by_one_slash(void **state)
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
		cmocka_unit_test(test_an_empty_path_is_refused),
		cmocka_unit_test(test_a_path_may_fill_path_max_and_no_byte_more),
		cmocka_unit_test(test_a_path_is_split_at_its_last_slash),
		cmocka_unit_test(test_slashes_at_the_end_are_taken_off_and_told_of),
		cmocka_unit_test(test_the_root_is_dot_in_itself),
		cmocka_unit_test(test_a_name_may_fill_name_max_and_no_byte_more),
		cmocka_unit_test(test_only_one_and_two_dots_are_dots),
		cmocka_unit_test(test_the_last_part_is_what_an_entry_shows),
		cmocka_unit_test(test_a_directory_and_a_name_are_joined_by_one_slash),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
