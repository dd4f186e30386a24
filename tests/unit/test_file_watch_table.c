/*
 * Which directory each inotify watch is on, as directories move.
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

#include "session/file/watch_table.h"
#include "vmm-guest/protocol.h"

#define CLEANUP_TABLE __attribute__((cleanup(file_watch_table_done)))

/* Not an inotify descriptor: there is nothing to take watches off. */
#define NO_INOTIFY (-1)

static struct file_watch_dir *
add(struct file_watch_table *table, struct file_watch_dir *parent, const char *name, int wd)
{
	struct file_watch_dir *dir = NULL;

	assert_int_equal(file_watch_table_add(table, parent, name, &dir), 0);
	assert_int_equal(dir->wd, -1);
	if (wd >= 0)
		file_watch_table_set_wd(table, dir, wd);
	return dir;
}

static void
assert_path(struct file_watch_table *table, int wd, const char *name, const char *expected)
{
	struct file_watch_dir *dir = file_watch_table_find(table, wd);
	char path[PATH_MAX];

	assert_non_null(dir);
	assert_int_equal(file_watch_table_path(dir, name, path), 0);
	assert_string_equal(path, expected);
}

static void
test_a_watch_is_found_by_its_number_and_no_other(void **state)
{
	struct file_watch_table CLEANUP_TABLE table = { 0 };
	struct file_watch_dir *top = add(&table, NULL, "/t", 1);

	(void)state;
	(void)add(&table, top, "b", 1 + FILE_WATCH_BUCKETS);
	assert_path(&table, 1, NULL, "/t");
	assert_path(&table, 1, "x", "/t/x");
	assert_path(&table, 1 + FILE_WATCH_BUCKETS, NULL, "/t/b");
	assert_null(file_watch_table_find(&table, 1 + 2 * FILE_WATCH_BUCKETS));
}

static void
test_below_the_root_there_is_one_slash(void **state)
{
	struct file_watch_table CLEANUP_TABLE table = { 0 };
	struct file_watch_dir *top = add(&table, NULL, "", 1);

	(void)state;
	(void)add(&table, top, "a", 2);
	assert_path(&table, 1, NULL, "/");
	assert_path(&table, 1, "x", "/x");
	assert_path(&table, 2, "x", "/a/x");
}

static void
test_a_move_takes_what_is_below_with_it_and_nothing_beside(void **state)
{
	struct file_watch_table CLEANUP_TABLE table = { 0 };
	struct file_watch_dir *top = add(&table, NULL, "/t", 1);
	struct file_watch_dir *a = add(&table, top, "a", 2);
	struct file_watch_dir *x = add(&table, top, "x", 3);

	(void)state;
	(void)add(&table, add(&table, a, "b", 4), "c", 5);
	(void)add(&table, top, "ab", 6);
	assert_int_equal(file_watch_table_move(&table, a, x, "longer than it was"), 0);
	assert_path(&table, 2, NULL, "/t/x/longer than it was");
	assert_path(&table, 5, NULL, "/t/x/longer than it was/b/c");
	assert_path(&table, 6, NULL, "/t/ab");
	assert_null(file_watch_table_child(top, "a"));
}

static void
test_nothing_is_moved_into_itself(void **state)
{
	struct file_watch_table CLEANUP_TABLE table = { 0 };
	struct file_watch_dir *top = add(&table, NULL, "/t", 1);
	struct file_watch_dir *a = add(&table, top, "a", 2);
	struct file_watch_dir *b = add(&table, a, "b", 3);

	(void)state;
	assert_int_equal(file_watch_table_move(&table, a, b, "x"), -ELOOP);
	assert_int_equal(file_watch_table_move(&table, a, a, "x"), -ELOOP);
	assert_int_equal(file_watch_table_move(&table, top, b, "x"), -ELOOP);
	assert_path(&table, 3, NULL, "/t/a/b");
}

static void
test_what_is_removed_takes_what_is_below_and_nothing_beside(void **state)
{
	struct file_watch_table CLEANUP_TABLE table = { 0 };
	struct file_watch_dir *top = add(&table, NULL, "/t", 1);
	struct file_watch_dir *a = add(&table, top, "a", 2);
	size_t bytes = table.bytes;
	struct file_watch_dir *b = add(&table, a, "b", 3);
	struct file_watch_dir *todo;
	size_t before;

	(void)state;
	(void)add(&table, b, "c", 4);
	todo = add(&table, b, "todo", -1);
	file_watch_table_put_off(&table, todo);
	file_watch_table_set_incomplete(&table, todo, true);
	before = table.bytes;
	(void)add(&table, top, "ab", 5);
	bytes += table.bytes - before;
	file_watch_table_remove(&table, b, NO_INOTIFY);
	assert_non_null(file_watch_table_find(&table, 2));
	assert_null(file_watch_table_find(&table, 3));
	assert_null(file_watch_table_find(&table, 4));
	assert_non_null(file_watch_table_find(&table, 5));
	assert_null(file_watch_table_take_up(&table));
	assert_int_equal(table.incomplete, 0);
	/* What is left is what was there before "b", and "ab". */
	assert_int_equal(table.bytes, bytes);
}

static void
test_of_two_of_one_name_the_first_is_the_one_that_moved(void **state)
{
	struct file_watch_table CLEANUP_TABLE table = { 0 };
	struct file_watch_dir *top = add(&table, NULL, "/t", 1);
	struct file_watch_dir *old = add(&table, top, "a", 2);

	(void)state;
	(void)add(&table, top, "a", 3);
	assert_ptr_equal(file_watch_table_child(top, "a"), old);
}

static void
test_all_that_is_below_is_gone_through_and_nothing_beside(void **state)
{
	struct file_watch_table CLEANUP_TABLE table = { 0 };
	struct file_watch_dir *top = add(&table, NULL, "/t", 1);
	struct file_watch_dir *a = add(&table, top, "a", 2);
	unsigned seen = 0;

	(void)state;
	(void)add(&table, add(&table, a, "b", 3), "c", 4);
	(void)add(&table, a, "d", 5);
	(void)add(&table, top, "beside", 6);
	for (struct file_watch_dir *dir = a; dir != NULL; dir = file_watch_table_next(dir, a))
		seen |= 1u << dir->wd;
	assert_int_equal(seen, 1u << 2 | 1u << 3 | 1u << 4 | 1u << 5);
	assert_null(file_watch_table_next(
	    file_watch_table_find(&table, 4), file_watch_table_find(&table, 4)));
}

static void
test_the_longest_path_that_the_kernel_takes_is_the_longest_that_is_named(void **state)
{
	struct file_watch_table CLEANUP_TABLE table = { 0 };
	struct file_watch_dir *dir = add(&table, NULL, "/t", 0);
	char name[201];
	char path[PATH_MAX];
	int count = 0;

	(void)state;
	memset(name, 'd', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	while (file_watch_table_path(dir, name, path) == 0)
		dir = add(&table, dir, name, ++count);
	assert_int_equal(count, (PATH_MAX - 3) / 201);
	assert_int_equal(file_watch_table_path(dir, NULL, path), 0);
	assert_ptr_equal(file_watch_table_nameable(dir), dir);
	/* What is left of PATH_MAX, without the slash and the NUL, is just enough. */
	name[PATH_MAX - strlen(path) - 2] = '\0';
	assert_int_equal(file_watch_table_path(dir, name, path), 0);
	assert_int_equal(strlen(path), PATH_MAX - 1);
	(void)strcat(name, "d");
	assert_int_equal(file_watch_table_path(dir, name, path), -ENAMETOOLONG);
}

static void
test_of_what_can_t_be_named_the_deepest_that_can_be_is_found(void **state)
{
	struct file_watch_table CLEANUP_TABLE table = { 0 };
	struct file_watch_dir *dir = add(&table, NULL, "/t", 0);
	struct file_watch_dir *deepest = NULL;
	char path[PATH_MAX];

	(void)state;
	for (int i = 0; i < 3 * PATH_MAX; i++) {
		dir = add(&table, dir, "d", -1);
		if (file_watch_table_path(dir, NULL, path) == 0)
			deepest = dir;
		assert_ptr_equal(file_watch_table_nameable(dir), deepest);
	}
	assert_int_equal(file_watch_table_path(dir, NULL, path), -ENAMETOOLONG);
}

static void
test_what_a_table_takes_has_a_bound_and_is_given_back(void **state)
{
	struct file_watch_table CLEANUP_TABLE table = { 0 };
	struct file_watch_dir *top = add(&table, NULL, "/t", 0);
	size_t bytes = table.bytes;
	struct file_watch_dir *dir;
	char name[101];
	int count = 0;
	int r;

	(void)state;
	memset(name, 'x', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	while ((r = file_watch_table_add(&table, top, name, &dir)) == 0)
		count++;
	assert_int_equal(r, -ENOBUFS);
	/* One takes its name and not much more, of whatever C library. */
	assert_true(count > 50000);
	assert_true(count < (int)VMM_GUEST_WATCH_MAX / 100);
	assert_true(table.bytes <= VMM_GUEST_WATCH_MAX);
	assert_int_equal(file_watch_table_move(&table, LIST_FIRST(&top->children), top, name), 0);
	while (!LIST_EMPTY(&top->children))
		file_watch_table_remove(&table, LIST_FIRST(&top->children), NO_INOTIFY);
	assert_int_equal(table.bytes, bytes);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_watch_is_found_by_its_number_and_no_other),
		cmocka_unit_test(test_below_the_root_there_is_one_slash),
		cmocka_unit_test(test_a_move_takes_what_is_below_with_it_and_nothing_beside),
		cmocka_unit_test(test_nothing_is_moved_into_itself),
		cmocka_unit_test(test_what_is_removed_takes_what_is_below_and_nothing_beside),
		cmocka_unit_test(test_of_two_of_one_name_the_first_is_the_one_that_moved),
		cmocka_unit_test(test_all_that_is_below_is_gone_through_and_nothing_beside),
		cmocka_unit_test(
		    test_the_longest_path_that_the_kernel_takes_is_the_longest_that_is_named),
		cmocka_unit_test(test_of_what_can_t_be_named_the_deepest_that_can_be_is_found),
		cmocka_unit_test(test_what_a_table_takes_has_a_bound_and_is_given_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
