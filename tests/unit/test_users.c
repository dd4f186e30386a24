/*
 * Who a session runs as, from passwd and group files.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "platform/users.h"
#include "scratch.h"

#define PASSWD                                                                                     \
	"# a comment\n"                                                                            \
	"root:x:0:0:root:/root:/bin/bash\n"                                                        \
	"\n"                                                                                       \
	"short:x\n"                                                                                \
	"worker:x:1000:100:A Worker,,,:/home/worker:/bin/zsh\n"                                    \
	"twin:x:1000:101::/home/twin:/bin/sh\n"                                                    \
	"4242:x:7:8::/digits:/bin/sh\n"                                                            \
	"bare:x:9:9:::\n"                                                                          \
	"last:x:4294967294:4294967294::/:/bin/sh"

#define GROUP                                                                                      \
	"root:x:0:\n"                                                                              \
	"users:x:100:worker\n"                                                                     \
	"tty:x:5:worker,bare\n"                                                                    \
	"disk:x:6:bare,workers,work\n"                                                             \
	"wheel:x:10:nobody,worker\n"                                                               \
	"50:x:51:\n"                                                                               \
	"empty:x:60:"

static struct run_as user;
static const char *problem;

static int
setup(void **state)
{
	if (scratch_make(state) < 0)
		return -1;
	scratch_write("passwd", PASSWD, 0644);
	scratch_write("group", GROUP, 0644);
	return 0;
}

static int
lookup(const char *spec)
{
	memset(&user, 0xee, sizeof(user));
	problem = NULL;
	return users_lookup(scratch_dir, spec, &user, &problem);
}

static void
assert_found(const char *spec, uid_t uid, gid_t gid, const char *name, size_t groups_count)
{
	int r = lookup(spec);

	if (r != 0)
		fail_msg("%s: %s: %s", spec, strerror(-r), problem);
	assert_int_equal(user.uid, uid);
	assert_int_equal(user.gid, gid);
	assert_string_equal(user.name, name);
	assert_int_equal(user.groups_count, groups_count);
}

static void
assert_not_found(const char *spec, int error)
{
	int r = lookup(spec);

	if (r != error)
		fail_msg("'%s' gave %d, not %d", spec, r, error);
	assert_non_null(problem);
	assert_string_not_equal(problem, "");
}

static void
test_a_name_gives_ids_groups_home_and_shell(void **state)
{
	(void)state;
	assert_found("worker", 1000, 100, "worker", 2);
	assert_int_equal(user.groups[0], 5);
	assert_int_equal(user.groups[1], 10);
	assert_string_equal(user.home, "/home/worker");
	assert_string_equal(user.shell, "/bin/zsh");
	assert_found("root", 0, 0, "root", 0);
}

static void
test_empty_members_of_a_line_have_defaults(void **state)
{
	(void)state;
	assert_found("bare", 9, 9, "bare", 2);
	assert_string_equal(user.home, "/");
	assert_string_equal(user.shell, "/bin/sh");
}

static void
test_a_uid_finds_its_first_line(void **state)
{
	(void)state;
	assert_found("1000", 1000, 100, "worker", 2);
	assert_string_equal(user.home, "/home/worker");
	assert_found("0", 0, 0, "root", 0);
}

static void
test_a_uid_without_a_line_has_gid_0_and_no_groups(void **state)
{
	(void)state;
	assert_found("12345", 12345, 0, "12345", 0);
	assert_string_equal(user.home, "/");
	assert_string_equal(user.shell, "/bin/sh");
	assert_found("12345:7", 12345, 7, "12345", 0);
	assert_found("12345:users", 12345, 100, "12345", 0);
}

static void
test_a_name_of_digits_stands_before_the_uid(void **state)
{
	(void)state;
	assert_found("4242", 7, 8, "4242", 0);
	assert_found("worker:50", 1000, 51, "worker", 0);
}

static void
test_with_a_group_there_are_no_supplementary_groups(void **state)
{
	(void)state;
	assert_found("worker:tty", 1000, 5, "worker", 0);
	assert_found("worker:77", 1000, 77, "worker", 0);
	assert_found("1000:0", 1000, 0, "worker", 0);
	assert_found("worker:empty", 1000, 60, "worker", 0);
	assert_string_equal(user.home, "/home/worker");
}

static void
test_a_member_is_matched_by_its_whole_name(void **state)
{
	(void)state;
	/* disk lists "workers" and "work", which are others. */
	assert_found("worker", 1000, 100, "worker", 2);
	assert_found("twin", 1000, 101, "twin", 0);
}

static void
test_the_last_line_needs_no_newline(void **state)
{
	(void)state;
	assert_found("last", UINT32_MAX - 1, UINT32_MAX - 1, "last", 0);
}

/* The C library gives them the ids 0, and a line "+" no home. */
static void
test_a_line_of_nis_is_nobody(void **state)
{
	(void)state;
	scratch_write("passwd", "+\n+guest::::::\n-@admins\n" PASSWD, 0644);
	scratch_write("group", "+:::worker\n-wheel:::worker\n" GROUP, 0644);
	assert_not_found("+", -ESRCH);
	assert_not_found("+guest", -ESRCH);
	assert_not_found("worker:+", -ESRCH);
	assert_found("0", 0, 0, "root", 0);
	assert_found("worker", 1000, 100, "worker", 2);
}

static void
test_malformed_specs_are_refused(void **state)
{
	char spec[2 * USERS_NAME_MAX];

	(void)state;
	assert_not_found("", -EINVAL);
	assert_not_found(":", -EINVAL);
	assert_not_found("worker:", -EINVAL);
	assert_not_found(":users", -EINVAL);
	memset(spec, 'a', sizeof(spec));
	spec[sizeof(spec) - 1] = '\0';
	assert_not_found(spec, -EINVAL);
	spec[USERS_NAME_MAX - 1] = '\0';
	assert_not_found(spec, -ESRCH);
}

static void
test_who_is_not_there_is_not_found(void **state)
{
	const char *const specs[] = { "nobody", "Worker", "short", "worker:nogroup",
		"worker:users:", "worker:0:0", " worker", "worker ", "# a comment", "1000 ",
		"+1000", "-1", "1e3", "0x3e8", "worker:-1", "worker:+5" };

	(void)state;
	for (size_t i = 0; i < sizeof(specs) / sizeof(specs[0]); i++)
		assert_not_found(specs[i], -ESRCH);
}

static void
test_the_id_that_means_no_id_is_no_id(void **state)
{
	(void)state;
	assert_not_found("4294967295", -ESRCH);
	assert_not_found("4294967296", -ESRCH);
	assert_not_found("99999999999999999999", -ESRCH);
	assert_not_found("worker:4294967295", -ESRCH);
	assert_not_found("12345:4294967295", -ESRCH);
}

/* setresuid(2) with -1 changes nothing: the session would keep our own rights. */
static void
test_a_line_with_that_id_is_refused(void **state)
{
	(void)state;
	scratch_write("passwd",
	    "nouid:x:4294967295:1::/:/bin/sh\n"
	    "huge:x:99999999999:1::/:/bin/sh\n"
	    "nogid:x:1:4294967295::/:/bin/sh\n"
	    "good:x:2:2::/:/bin/sh\n",
	    0644);
	scratch_write("group", "nogid:x:4294967295:\nextra:x:4294967295:good\n", 0644);
	assert_not_found("nouid", -EINVAL);
	assert_not_found("huge", -ESRCH);
	assert_not_found("nogid", -EINVAL);
	assert_not_found("nouid:5", -EINVAL);
	assert_not_found("good:nogid", -ESRCH);
	assert_found("good", 2, 2, "good", 0);
	assert_found("nogid:5", 1, 5, "nogid", 0);
}

static void
test_without_the_files_numbers_still_work(void **state)
{
	(void)state;
	assert_int_equal(unlink(scratch_path("passwd")), 0);
	assert_int_equal(unlink(scratch_path("group")), 0);
	assert_found("0", 0, 0, "0", 0);
	assert_found("1000:100", 1000, 100, "1000", 0);
	assert_not_found("root", -ESRCH);
	assert_not_found("0:root", -ESRCH);
	assert_int_equal(users_lookup("/dev/null/etc", "1000", &user, &problem), 0);
	assert_int_equal(users_lookup("/nonexistent/etc", "root", &user, &problem), -ESRCH);
}

static void
test_a_fifo_or_a_device_in_the_files_place_does_not_hang_us(void **state)
{
	(void)state;
	assert_int_equal(unlink(scratch_path("passwd")), 0);
	assert_int_equal(mkfifo(scratch_path("passwd"), 0644), 0);
	assert_not_found("worker", -EINVAL);
	assert_int_equal(unlink(scratch_path("passwd")), 0);
	assert_int_equal(symlink("/dev/zero", scratch_path("passwd")), 0);
	assert_not_found("worker", -EINVAL);
	scratch_write("passwd", PASSWD, 0644);
	assert_int_equal(unlink(scratch_path("group")), 0);
	assert_int_equal(mkfifo(scratch_path("group"), 0644), 0);
	assert_not_found("worker", -EINVAL);
	assert_not_found("worker:users", -ESRCH);
	assert_found("worker:100", 1000, 100, "worker", 0);
}

static void
test_a_link_to_the_file_is_followed(void **state)
{
	(void)state;
	assert_int_equal(rename(scratch_path("passwd"), scratch_path("real")), 0);
	assert_int_equal(symlink("real", scratch_path("passwd")), 0);
	assert_found("worker", 1000, 100, "worker", 2);
}

/* A group file of one group with MEMBERS times the name "m", then worker. */
static void
write_long_group(size_t members)
{
	const char *end = "worker\nlate:x:99:worker\n";
	char *text = malloc(2 * members + 64);
	size_t len = strlen(strcpy(text, "big:x:98:"));

	for (size_t i = 0; i < members; i++) {
		text[len++] = 'm';
		text[len++] = ',';
	}
	(void)strcpy(text + len, end);
	scratch_write("group", text, 0644);
	free(text);
}

static void
test_a_group_of_thousands_is_read(void **state)
{
	(void)state;
	write_long_group(10000);
	assert_found("worker", 1000, 100, "worker", 2);
	assert_int_equal(user.groups[0], 98);
	assert_int_equal(user.groups[1], 99);
}

static void
test_a_line_too_long_to_hold_is_an_error_and_no_overflow(void **state)
{
	(void)state;
	write_long_group(200000);
	assert_not_found("worker", -ERANGE);
	assert_found("worker:100", 1000, 100, "worker", 0);
}

static void
test_more_groups_than_we_hold_are_an_error(void **state)
{
	char *text = malloc(64 * (USERS_GROUPS_MAX + 1));
	int len = 0;

	(void)state;
	for (int i = 0; i < USERS_GROUPS_MAX; i++)
		len += sprintf(text + len, "g%d:x:%d:worker\n", i, 2000 + i);
	scratch_write("group", text, 0644);
	assert_found("worker", 1000, 100, "worker", USERS_GROUPS_MAX);
	(void)sprintf(text + len, "one-more:x:1:worker\n");
	scratch_write("group", text, 0644);
	assert_not_found("worker", -E2BIG);
	free(text);
}

#define EACH(function) cmocka_unit_test_setup_teardown(function, setup, scratch_remove)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		EACH(test_a_name_gives_ids_groups_home_and_shell),
		EACH(test_empty_members_of_a_line_have_defaults),
		EACH(test_a_uid_finds_its_first_line),
		EACH(test_a_uid_without_a_line_has_gid_0_and_no_groups),
		EACH(test_a_name_of_digits_stands_before_the_uid),
		EACH(test_with_a_group_there_are_no_supplementary_groups),
		EACH(test_a_member_is_matched_by_its_whole_name),
		EACH(test_the_last_line_needs_no_newline),
		EACH(test_a_line_of_nis_is_nobody),
		EACH(test_malformed_specs_are_refused),
		EACH(test_who_is_not_there_is_not_found),
		EACH(test_the_id_that_means_no_id_is_no_id),
		EACH(test_a_line_with_that_id_is_refused),
		EACH(test_without_the_files_numbers_still_work),
		EACH(test_a_fifo_or_a_device_in_the_files_place_does_not_hang_us),
		EACH(test_a_link_to_the_file_is_followed),
		EACH(test_a_group_of_thousands_is_read),
		EACH(test_a_line_too_long_to_hold_is_an_error_and_no_overflow),
		EACH(test_more_groups_than_we_hold_are_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
