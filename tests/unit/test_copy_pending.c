/*
 * The directories that a copy has still to go into.
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

#include "ctl/copy/copy_pending.h"

static size_t all;

static void
test_what_was_put_in_comes_out_in_its_order(void **state)
{
	struct copy_pending pending = { 0 };
	struct copy_pending_dir dir;
	char name[300];

	(void)state;
	for (unsigned i = 0; i < 1000; i++) {
		(void)snprintf(name, sizeof(name), "%0*u", (int)(i % 255) + 1, i);
		dir = (struct copy_pending_dir){ name, i % 2 == 0, i, { i, i } };
		assert_int_equal(copy_pending_add(&all, &pending, &dir), 0);
	}
	for (unsigned i = 0; i < 1000; i++) {
		assert_true(copy_pending_next(&pending, &dir));
		(void)snprintf(name, sizeof(name), "%0*u", (int)(i % 255) + 1, i);
		assert_string_equal(dir.name, name);
		assert_int_equal(dir.is_there, i % 2 == 0);
		assert_int_equal(dir.mode, i);
		assert_int_equal(dir.mtime.tv_sec, i);
		assert_int_equal(dir.mtime.tv_nsec, i);
	}
	assert_false(copy_pending_next(&pending, &dir));
	copy_pending_done(&pending);
	assert_int_equal(all, 0);
}

static void
test_all_levels_together_have_a_bound(void **state)
{
	const struct copy_pending_dir dir = { .name = "d" };
	struct copy_pending levels[4] = { 0 };
	int r = 0;

	(void)state;
	for (size_t i = 0; r == 0; i++)
		r = copy_pending_add(&all, &levels[i / 100000 % 4], &dir);
	assert_int_equal(r, -EOVERFLOW);
	assert_in_range(all, COPY_PENDING_MAX / 4, COPY_PENDING_MAX);
	for (size_t i = 0; i < 4; i++)
		copy_pending_done(&levels[i]);
	assert_int_equal(all, 0);
	assert_int_equal(copy_pending_add(&all, &levels[0], &dir), 0);
	copy_pending_done(&levels[0]);
}

static void
test_none_are_none(void **state)
{
	struct copy_pending pending = { 0 };
	struct copy_pending_dir dir;

	(void)state;
	assert_false(copy_pending_next(&pending, &dir));
	copy_pending_done(&pending);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_was_put_in_comes_out_in_its_order),
		cmocka_unit_test(test_all_levels_together_have_a_bound),
		cmocka_unit_test(test_none_are_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
