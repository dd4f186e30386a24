/*
 * Cgroups that are killed until nobody is left in them: by files like a cgroup's.
 *
 * SPDX-License-Identifier: MIT
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "platform/clock.h"
#include "platform/fd.h"
#include "scratch.h"
#include "supervisor/cgroup_reaper.h"

#define NOW 1000

/* A cgroup in which somebody is. */
static int
make_cell(const char *name)
{
	char file[64];

	assert_int_equal(mkdir(scratch_path(name), 0755), 0);
	(void)snprintf(file, sizeof(file), "%s/cgroup.events", name);
	scratch_write(file, "populated 1\nfrozen 0\n", 0644);
	(void)snprintf(file, sizeof(file), "%s/cgroup.kill", name);
	scratch_write(file, "0", 0644);
	return open(scratch_path(name), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static bool
was_killed(const char *name)
{
	char file[64];
	char text[8];

	(void)snprintf(file, sizeof(file), "%s/cgroup.kill", name);
	assert_true(fd_read_file(AT_FDCWD, scratch_path(file), text, sizeof(text)) > 0);
	scratch_write(file, "0", 0644);
	return text[0] == '1';
}

static void
test_what_is_left_is_killed_again_until_nobody_is(void **state)
{
	struct cgroup_reaper reaper = { 0 };

	(void)state;
	assert_int_equal(cgroup_reaper_step(&reaper, NOW), CLOCK_NEVER);
	assert_int_equal(cgroup_reaper_add(&reaper, make_cell("a"), NOW), 0);
	assert_true(was_killed("a"));
	assert_int_equal(cgroup_reaper_step(&reaper, NOW + 1), NOW + CGROUP_REAPER_AGAIN_MS);
	assert_false(was_killed("a"));
	for (uint64_t i = 1; i <= 3; i++) {
		assert_int_equal(cgroup_reaper_step(&reaper, NOW + i * CGROUP_REAPER_AGAIN_MS),
		    NOW + (i + 1) * CGROUP_REAPER_AGAIN_MS);
		assert_true(was_killed("a"));
	}
	scratch_write("a/cgroup.events", "populated 0\nfrozen 0\n", 0644);
	assert_int_equal(
	    cgroup_reaper_step(&reaper, NOW + 4 * CGROUP_REAPER_AGAIN_MS), CLOCK_NEVER);
	assert_false(was_killed("a"));
}

static void
test_what_can_not_be_killed_is_given_up(void **state)
{
	struct cgroup_reaper reaper = { 0 };

	(void)state;
	assert_int_equal(cgroup_reaper_add(&reaper, make_cell("b"), NOW), 0);
	assert_true(cgroup_reaper_step(&reaper, NOW + CGROUP_REAPER_MAX_MS - 1) < CLOCK_NEVER);
	assert_int_equal(cgroup_reaper_step(&reaper, NOW + 2 * CGROUP_REAPER_MAX_MS), CLOCK_NEVER);
	assert_int_equal(reaper.count, 0);
}

static void
test_each_has_its_own_end(void **state)
{
	struct cgroup_reaper reaper = { 0 };

	(void)state;
	assert_int_equal(cgroup_reaper_add(&reaper, make_cell("c"), NOW), 0);
	assert_int_equal(cgroup_reaper_add(&reaper, make_cell("d"), NOW), 0);
	assert_true(was_killed("c") && was_killed("d"));
	scratch_write("c/cgroup.events", "populated 0\n", 0644);
	assert_true(cgroup_reaper_step(&reaper, NOW + CGROUP_REAPER_AGAIN_MS) < CLOCK_NEVER);
	assert_false(was_killed("c"));
	assert_true(was_killed("d"));
	scratch_write("d/cgroup.events", "populated 0\n", 0644);
	assert_int_equal(
	    cgroup_reaper_step(&reaper, NOW + 2 * CGROUP_REAPER_AGAIN_MS), CLOCK_NEVER);
}

static void
test_who_is_alone_dies_at_once_and_is_not_looked_at_again(void **state)
{
	struct cgroup_reaper reaper = { 0 };
	int fd = make_cell("e");

	(void)state;
	scratch_write("e/cgroup.events", "populated 0\n", 0644);
	assert_int_equal(cgroup_reaper_add(&reaper, fd, NOW), 0);
	assert_true(was_killed("e"));
	assert_int_equal(cgroup_reaper_step(&reaper, NOW), CLOCK_NEVER);
	assert_int_equal(fcntl(fd, F_GETFD), -1);
}

static void
test_more_than_there_is_room_for_are_killed_once(void **state)
{
	struct cgroup_reaper reaper = { 0 };
	char name[16];

	(void)state;
	for (int i = 0; i <= CGROUP_REAPER_MAX; i++) {
		(void)snprintf(name, sizeof(name), "many%d", i);
		assert_int_equal(cgroup_reaper_add(&reaper, make_cell(name), NOW), 0);
		assert_true(was_killed(name));
	}
	assert_int_equal(reaper.count, CGROUP_REAPER_MAX);
	assert_int_equal(cgroup_reaper_step(&reaper, NOW + CGROUP_REAPER_MAX_MS), CLOCK_NEVER);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_left_is_killed_again_until_nobody_is),
		cmocka_unit_test(test_what_can_not_be_killed_is_given_up),
		cmocka_unit_test(test_each_has_its_own_end),
		cmocka_unit_test(test_who_is_alone_dies_at_once_and_is_not_looked_at_again),
		cmocka_unit_test(test_more_than_there_is_room_for_are_killed_once),
	};

	return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
