/*
 * Files of /etc below a root of our own. What needs mount(2) is proved by
 * tests/boot.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "platform/fd.h"
#include "platform/etc_file.h"

#define TEXT "nameserver 10.0.2.3\n"

struct root {
	char path[64];
	int fd;
};

static int
setup(void **state)
{
	struct root *root = calloc(1, sizeof(*root));

	*state = root;
	(void)strlcpy(root->path, "/tmp/test_etc_file.XXXXXX", sizeof(root->path));
	if (mkdtemp(root->path) == NULL)
		return -1;
	root->fd = open(root->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return root->fd < 0 ? -1 : 0;
}

static int
teardown(void **state)
{
	struct root *root = *state;
	char command[128];

	(void)snprintf(command, sizeof(command), "rm -rf %s", root->path);
	(void)close(root->fd);
	if (system(command) != 0)
		return -1;
	free(root);
	return 0;
}

static void
put(const struct root *root, const char *path, const char *text)
{
	int fd = openat(root->fd, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(fd_write_full(fd, text, strlen(text)), 0);
	(void)close(fd);
}

static void
assert_file(const struct root *root, const char *path, const char *text)
{
	char found[256];

	assert_int_equal(fd_read_file(root->fd, path, found, sizeof(found)), strlen(text));
	assert_string_equal(found, text);
}

/* The regular file PATH has TEXT and can be read by everybody. */
static void
assert_written(const struct root *root, const char *path)
{
	struct stat status;

	assert_file(root, path, TEXT);
	assert_int_equal(fstatat(root->fd, path, &status, AT_SYMLINK_NOFOLLOW), 0);
	assert_int_equal(status.st_mode, S_IFREG | 0644);
}

static void
test_etc_is_made_where_there_is_none(void **state)
{
	const struct root *root = *state;

	assert_int_equal(etc_file_write_below(root->fd, &etc_file_resolv_conf, TEXT), 0);
	assert_written(root, "etc/resolv.conf");
}

static void
test_a_reader_of_the_old_file_still_reads_the_old_file(void **state)
{
	const struct root *root = *state;
	char found[64] = "";
	int fd;

	assert_int_equal(mkdirat(root->fd, "etc", 0755), 0);
	put(root, "etc/resolv.conf", "old, and a good deal longer than the new one\n");
	fd = openat(root->fd, "etc/resolv.conf", O_RDONLY | O_CLOEXEC);
	assert_int_equal(etc_file_write_below(root->fd, &etc_file_resolv_conf, TEXT), 0);
	assert_written(root, "etc/resolv.conf");
	assert_true(fd_read_full(fd, found, sizeof(found) - 1) > 0);
	assert_string_equal(found, "old, and a good deal longer than the new one\n");
	(void)close(fd);
}

static void
test_nothing_else_is_left_in_the_directory(void **state)
{
	const struct root *root = *state;

	assert_int_equal(etc_file_write_below(root->fd, &etc_file_resolv_conf, TEXT), 0);
	assert_int_equal(etc_file_write_below(root->fd, &etc_file_resolv_conf, TEXT), 0);
	assert_int_equal(unlinkat(root->fd, "etc/resolv.conf", 0), 0);
	assert_int_equal(unlinkat(root->fd, "etc", AT_REMOVEDIR), 0);
}

static void
test_a_link_is_followed_and_stays(void **state)
{
	const struct root *root = *state;
	char target[64] = "";

	assert_int_equal(mkdirat(root->fd, "etc", 0755), 0);
	assert_int_equal(mkdirat(root->fd, "run", 0755), 0);
	put(root, "run/other.conf", "old");
	assert_int_equal(symlinkat("../run/other.conf", root->fd, "etc/resolv.conf"), 0);
	assert_int_equal(etc_file_write_below(root->fd, &etc_file_resolv_conf, TEXT), 0);
	assert_written(root, "run/other.conf");
	assert_true(readlinkat(root->fd, "etc/resolv.conf", target, sizeof(target) - 1) > 0);
	assert_string_equal(target, "../run/other.conf");
}

static void
test_a_dangling_link_gets_its_target_made_with_parents(void **state)
{
	const struct root *root = *state;

	assert_int_equal(mkdirat(root->fd, "etc", 0755), 0);
	assert_int_equal(
	    symlinkat("../run/systemd/resolve/stub-resolv.conf", root->fd, "etc/resolv.conf"), 0);
	assert_int_equal(etc_file_write_below(root->fd, &etc_file_resolv_conf, TEXT), 0);
	assert_written(root, "run/systemd/resolve/stub-resolv.conf");
}

static void
test_an_absolute_link_stays_below_the_root(void **state)
{
	const struct root *root = *state;

	assert_int_equal(mkdirat(root->fd, "etc", 0755), 0);
	assert_int_equal(symlinkat("/run/vmm-guest-test/x.conf", root->fd, "etc/resolv.conf"), 0);
	assert_int_equal(etc_file_write_below(root->fd, &etc_file_resolv_conf, TEXT), 0);
	assert_written(root, "run/vmm-guest-test/x.conf");
	assert_int_equal(access("/run/vmm-guest-test", F_OK), -1);
}

static void
test_a_link_upwards_stays_below_the_root(void **state)
{
	const struct root *root = *state;

	assert_int_equal(mkdirat(root->fd, "etc", 0755), 0);
	assert_int_equal(symlinkat("../../../../x.conf", root->fd, "etc/resolv.conf"), 0);
	assert_int_equal(etc_file_write_below(root->fd, &etc_file_resolv_conf, TEXT), 0);
	assert_written(root, "x.conf");
}

static void
test_a_relative_link_in_a_linked_directory_is_taken_from_where_it_really_is(void **state)
{
	const struct root *root = *state;

	assert_int_equal(mkdirat(root->fd, "usr", 0755), 0);
	assert_int_equal(mkdirat(root->fd, "usr/etc", 0755), 0);
	assert_int_equal(symlinkat("/usr/etc", root->fd, "etc"), 0);
	assert_int_equal(symlinkat("../x.conf", root->fd, "usr/etc/resolv.conf"), 0);
	assert_int_equal(etc_file_write_below(root->fd, &etc_file_resolv_conf, TEXT), 0);
	assert_written(root, "usr/x.conf");
}

static void
test_a_chain_of_links_is_followed_to_its_end(void **state)
{
	const struct root *root = *state;

	assert_int_equal(mkdirat(root->fd, "etc", 0755), 0);
	assert_int_equal(symlinkat("a", root->fd, "etc/resolv.conf"), 0);
	assert_int_equal(symlinkat("/var/b", root->fd, "etc/a"), 0);
	assert_int_equal(etc_file_write_below(root->fd, &etc_file_resolv_conf, TEXT), 0);
	assert_written(root, "var/b");
}

static void
test_links_in_a_circle_are_an_error(void **state)
{
	const struct root *root = *state;

	assert_int_equal(mkdirat(root->fd, "etc", 0755), 0);
	assert_int_equal(symlinkat("resolv.conf", root->fd, "etc/resolv.conf"), 0);
	assert_int_equal(etc_file_write_below(root->fd, &etc_file_resolv_conf, TEXT), -ELOOP);
}

static void
test_a_link_to_no_file_name_is_an_error(void **state)
{
	const struct root *root = *state;

	assert_int_equal(mkdirat(root->fd, "etc", 0755), 0);
	assert_int_equal(symlinkat("..", root->fd, "etc/resolv.conf"), 0);
	assert_int_equal(etc_file_write_below(root->fd, &etc_file_resolv_conf, TEXT), -EISDIR);
	assert_int_equal(unlinkat(root->fd, "etc/resolv.conf", 0), 0);
	assert_int_equal(symlinkat("/run/", root->fd, "etc/resolv.conf"), 0);
	assert_int_equal(etc_file_write_below(root->fd, &etc_file_resolv_conf, TEXT), -EISDIR);
}

static void
test_a_directory_in_its_place_is_an_error_and_leaves_no_litter(void **state)
{
	const struct root *root = *state;

	assert_int_equal(mkdirat(root->fd, "etc", 0755), 0);
	assert_int_equal(mkdirat(root->fd, "etc/resolv.conf", 0755), 0);
	assert_int_equal(etc_file_write_below(root->fd, &etc_file_resolv_conf, TEXT), -EISDIR);
	assert_int_equal(unlinkat(root->fd, "etc/resolv.conf", AT_REMOVEDIR), 0);
	assert_int_equal(unlinkat(root->fd, "etc", AT_REMOVEDIR), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_etc_is_made_where_there_is_none),
		TEST(test_a_reader_of_the_old_file_still_reads_the_old_file),
		TEST(test_nothing_else_is_left_in_the_directory),
		TEST(test_a_link_is_followed_and_stays),
		TEST(test_a_dangling_link_gets_its_target_made_with_parents),
		TEST(test_an_absolute_link_stays_below_the_root),
		TEST(test_a_link_upwards_stays_below_the_root),
		TEST(test_a_relative_link_in_a_linked_directory_is_taken_from_where_it_really_is),
		TEST(test_a_chain_of_links_is_followed_to_its_end),
		TEST(test_links_in_a_circle_are_an_error),
		TEST(test_a_link_to_no_file_name_is_an_error),
		TEST(test_a_directory_in_its_place_is_an_error_and_leaves_no_litter),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
