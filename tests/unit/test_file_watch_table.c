/*
 * Which directory each inotify watch is on, as directories move.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "session/file_watch_table.h"

#define CLEANUP_TABLE __attribute__((cleanup(file_watch_table_done)))

/* Not an inotify descriptor: taking a watch off fails, which is no error. */
#define NO_INOTIFY (-1)

static void
test_a_watch_is_found_by_its_number_and_no_other(void **state)
{
	struct file_watch_table CLEANUP_TABLE table = { 0 };

	(void)state;
	assert_null(file_watch_table_find(&table, 1));
	assert_int_equal(file_watch_table_put(&table, 1, "/a"), 0);
	assert_int_equal(file_watch_table_put(&table, 1 + FILE_WATCH_BUCKETS, "/b"), 0);
	assert_string_equal(file_watch_table_find(&table, 1), "/a");
	assert_string_equal(file_watch_table_find(&table, 1 + FILE_WATCH_BUCKETS), "/b");
	assert_null(file_watch_table_find(&table, 1 + 2 * FILE_WATCH_BUCKETS));
}

static void
test_a_watch_that_is_put_again_has_the_new_path(void **state)
{
	struct file_watch_table CLEANUP_TABLE table = { 0 };

	(void)state;
	assert_int_equal(file_watch_table_put(&table, 1, "/a"), 0);
	assert_int_equal(file_watch_table_put(&table, 1, "/b"), 0);
	assert_string_equal(file_watch_table_find(&table, 1), "/b");
	file_watch_table_drop(&table, 1);
	assert_null(file_watch_table_find(&table, 1));
	file_watch_table_drop(&table, 1);
}

static void
test_a_rename_changes_what_is_below_and_nothing_beside(void **state)
{
	struct file_watch_table CLEANUP_TABLE table = { 0 };

	(void)state;
	(void)file_watch_table_put(&table, 1, "/t");
	(void)file_watch_table_put(&table, 2, "/t/a");
	(void)file_watch_table_put(&table, 3, "/t/a/b/c");
	(void)file_watch_table_put(&table, 4, "/t/ab");
	assert_int_equal(file_watch_table_rename(&table, "/t/a", "/t/x/y"), 0);
	assert_string_equal(file_watch_table_find(&table, 1), "/t");
	assert_string_equal(file_watch_table_find(&table, 2), "/t/x/y");
	assert_string_equal(file_watch_table_find(&table, 3), "/t/x/y/b/c");
	assert_string_equal(file_watch_table_find(&table, 4), "/t/ab");
}

static void
test_what_leaves_takes_what_is_below_and_nothing_beside(void **state)
{
	struct file_watch_table CLEANUP_TABLE table = { 0 };

	(void)state;
	(void)file_watch_table_put(&table, 1, "/t");
	(void)file_watch_table_put(&table, 2, "/t/a");
	(void)file_watch_table_put(&table, 3, "/t/a/b");
	(void)file_watch_table_put(&table, 4, "/t/ab");
	file_watch_table_leave(&table, NO_INOTIFY, "/t/a");
	assert_non_null(file_watch_table_find(&table, 1));
	assert_null(file_watch_table_find(&table, 2));
	assert_null(file_watch_table_find(&table, 3));
	assert_non_null(file_watch_table_find(&table, 4));
}

static void
test_ten_thousand_watches_are_kept_apart(void **state)
{
	struct file_watch_table CLEANUP_TABLE table = { 0 };
	char path[32];

	(void)state;
	for (int wd = 1; wd <= 10000; wd++) {
		(void)snprintf(path, sizeof(path), "/d/%d", wd);
		assert_int_equal(file_watch_table_put(&table, wd, path), 0);
	}
	for (int wd = 1; wd <= 10000; wd++) {
		(void)snprintf(path, sizeof(path), "/d/%d", wd);
		assert_string_equal(file_watch_table_find(&table, wd), path);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_watch_is_found_by_its_number_and_no_other),
		cmocka_unit_test(test_a_watch_that_is_put_again_has_the_new_path),
		cmocka_unit_test(test_a_rename_changes_what_is_below_and_nothing_beside),
		cmocka_unit_test(test_what_leaves_takes_what_is_below_and_nothing_beside),
		cmocka_unit_test(test_ten_thousand_watches_are_kept_apart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
