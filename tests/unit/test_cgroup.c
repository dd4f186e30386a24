/*
 * Where a cgroup is to be found, and how one is killed where the kernel has no
 * cgroup.kill: by files that are like a cgroup's.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <cmocka.h>

#include "platform/cgroup.h"
#include "platform/cgroup_find.h"
#include "platform/fd.h"
#include "scratch.h"

/* LINE is the test's. */
static bool
find_path(const char *line, const char *own, char *path, size_t size)
{
	char *cut = strdup(line);
	bool is_found;

	assert_non_null(cut);
	is_found = cgroup_find_path(cut, own, path, size);
	free(cut);
	return is_found;
}

static void
assert_found(const char *line, const char *own, const char *expected)
{
	char path[PATH_MAX];

	assert_true(find_path(line, own, path, sizeof(path)));
	assert_string_equal(path, expected);
}

static void
assert_not_found(const char *line, const char *own)
{
	char path[PATH_MAX];

	assert_false(find_path(line, own, path, sizeof(path)));
}

static void
test_a_cgroup_lies_below_the_mount_of_its_hierarchy(void **state)
{
	(void)state;
	assert_found("30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw",
	    "/system.slice/a.service", "/sys/fs/cgroup/system.slice/a.service");
	assert_found("42 32 0:39 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw",
	    "/a.service", "/sys/fs/cgroup/unified/a.service");
	assert_found("30 23 0:26 / /sys/fs/cgroup rw - cgroup2 none rw", "/", "/sys/fs/cgroup/");
}

static void
test_a_mount_of_version_1_or_of_another_kind_has_none(void **state)
{
	(void)state;
	assert_not_found("31 32 0:27 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids", "/a");
	assert_not_found("32 23 0:26 / /sys/fs/cgroup rw - tmpfs cgroup2 rw", "/a");
	assert_not_found("30 23 0:26 /", "/a");
	assert_not_found("", "/a");
}

static void
test_a_mount_of_a_part_shows_what_is_below_that_part(void **state)
{
	static const char line[] = "30 23 0:26 /a/b /mnt rw - cgroup2 cgroup2 rw";

	(void)state;
	assert_found(line, "/a/b/c", "/mnt/c");
	assert_found(line, "/a/b", "/mnt");
	assert_not_found(line, "/a/bc");
	assert_not_found(line, "/a");
	assert_not_found(line, "/");
	assert_not_found("30 23 0:26 /.. /mnt rw - cgroup2 cgroup2 rw", "/");
}

static void
test_blanks_and_backslashes_of_a_mount_are_read(void **state)
{
	(void)state;
	assert_found("30 23 0:26 /a\\134x2db /my\\040mnt rw - cgroup2 cgroup2 rw", "/a\\x2db/c",
	    "/my mnt/c");
}

static void
test_a_path_that_does_not_fit_is_none(void **state)
{
	static const char line[] = "30 23 0:26 / /sys rw - cgroup2 cgroup2 rw";
	char path[sizeof("/sys/a/b")];

	(void)state;
	assert_true(find_path(line, "/a/b", path, sizeof(path)));
	assert_false(find_path(line, "/a/bc", path, sizeof(path)));
}

/* ---- before Linux 5.14 --------------------------------------------------- */

static pid_t
sleeper(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		(void)pause();
		_exit(0);
	}
	assert_true(pid > 0);
	return pid;
}

/* What a cgroup with PID in it looks like. */
static void
make_cgroup(const char *name, pid_t pid)
{
	char file[128];
	char line[32];

	assert_int_equal(mkdir(scratch_path(name), 0755), 0);
	(void)snprintf(file, sizeof(file), "%s/cgroup.procs", name);
	(void)snprintf(line, sizeof(line), "%d\n", (int)pid);
	scratch_write(file, line, 0644);
	(void)snprintf(file, sizeof(file), "%s/cgroup.freeze", name);
	scratch_write(file, "", 0644);
}

static void
assert_killed(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static void
test_without_cgroup_kill_all_in_it_and_below_it_is_killed(void **state)
{
	pid_t own = sleeper();
	pid_t below = sleeper();
	pid_t deep = sleeper();
	int CLEANUP_FD fd = -1;
	char text[8];

	(void)state;
	make_cgroup("killed", own);
	make_cgroup("killed/below", below);
	make_cgroup("killed/below/.deep", deep);
	fd = open(scratch_path("killed"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	(void)alarm(10);
	assert_int_equal(cgroup_kill(fd), 0);
	assert_killed(own);
	assert_killed(below);
	assert_killed(deep);
	(void)alarm(0);
	/* Frozen, then thawed: each was written over the one before. */
	assert_int_equal(fd_read_file(fd, "cgroup.freeze", text, sizeof(text)), 1);
	assert_string_equal(text, "0");
}

static void
test_a_cgroup_that_is_not_there_needs_no_clearing(void **state)
{
	int CLEANUP_FD fd = open(scratch_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	(void)state;
	assert_int_equal(cgroup_clear(fd, "none", 0), 0);
	assert_int_equal(cgroup_remove(fd, "none"), -ENOENT);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_cgroup_lies_below_the_mount_of_its_hierarchy),
		cmocka_unit_test(test_a_mount_of_version_1_or_of_another_kind_has_none),
		cmocka_unit_test(test_a_mount_of_a_part_shows_what_is_below_that_part),
		cmocka_unit_test(test_blanks_and_backslashes_of_a_mount_are_read),
		cmocka_unit_test(test_a_path_that_does_not_fit_is_none),
		cmocka_unit_test(test_without_cgroup_kill_all_in_it_and_below_it_is_killed),
		cmocka_unit_test(test_a_cgroup_that_is_not_there_needs_no_clearing),
	};

	return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
