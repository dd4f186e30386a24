/*
 * Which file systems the switch opens, and what it says of the others. Each is a mount of this
 * machine, or none: nothing is frozen, or synced.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <cmocka.h>

#include "platform/compat.h"
#include "platform/fd.h"
#include "supervisor/switch_files.h"

enum {
	PROC,
	ROOT,
	NOWHERE,
	HIDDEN,
	MOUNTS
};

static char proc_path[] = "/proc";
static char root_path[] = "/";
static char nowhere_path[] = "/nowhere/at/all";
static char type[] = "ext4";
static struct block_mount list[MOUNTS];
static struct block_mounts_id ids[2];
static struct block_mounts mounts;
static struct quiesce_order order;
static struct quiesce_report report;
static struct switch_files files;
static char words[QUIESCE_ERROR_MAX];

static unsigned
mount_id(const char *path)
{
	struct statx status;

	assert_int_equal(statx(AT_FDCWD, path, 0, STATX_MNT_ID, &status), 0);
	return (unsigned)status.stx_mnt_id;
}

/* /proc stands for one that is virtual; the third has no mount point, and that of the last
 * leads to the root. */
static int
begin(void **state)
{
	(void)state;
	list[PROC] = (struct block_mount){ .path = proc_path, .type = type, .skipped = "virtual" };
	list[ROOT] = (struct block_mount){ .path = root_path, .type = type };
	list[NOWHERE] = (struct block_mount){ .path = nowhere_path, .type = type };
	list[HIDDEN] = (struct block_mount){ .path = root_path, .type = type };
	ids[0] = (struct block_mounts_id){ .id = mount_id("/proc"), .mount = PROC };
	ids[1] = (struct block_mounts_id){ .id = mount_id("/"), .mount = ROOT };
	mounts = (struct block_mounts){ .list = list, .count = MOUNTS, .ids = ids, .ids_count = 2 };
	memset(&order, 0, sizeof(order));
	memset(&report, 0, sizeof(report));
	memset(&files, 0, sizeof(files));
	words[0] = '\0';
	return 0;
}

static void
name(const char *path)
{
	size_t len = 0;

	for (uint32_t i = 0; i < order.paths_count; i++)
		len += strlen(order.paths + len) + 1;
	(void)strlcpy(order.paths + len, path, sizeof(order.paths) - len);
	order.paths_count++;
}

static int
open_files(void)
{
	return switch_files_open(&mounts, &order, &report, &files, words);
}

static void
assert_the_root_is_open(bool is_wanted, bool is_required)
{
	struct stat root;
	struct stat status;

	assert_int_equal(files.count, 1);
	assert_int_equal(stat("/", &root), 0);
	assert_int_equal(fstat(files.list[0].fd, &status), 0);
	assert_true(root.st_dev == status.st_dev && root.st_ino == status.st_ino);
	assert_int_equal(files.list[0].is_wanted, is_wanted);
	assert_int_equal(files.list[0].is_required, is_required);
	assert_string_equal(files.list[0].path, "/");
	fd_close(&files.list[0].fd);
}

static void
test_all_are_opened_and_what_cannot_be_is_listed(void **state)
{
	(void)state;
	order.is_all = true;
	assert_int_equal(open_files(), 0);
	assert_the_root_is_open(true, false);
	assert_int_equal(report.places_count, 3);
	assert_string_equal(report.places[0].path, "/proc");
	assert_string_equal(report.places[0].why, "virtual");
	assert_string_equal(report.places[1].path, nowhere_path);
	assert_string_equal(report.places[1].why, "hidden by another mount");
	assert_string_equal(report.places[2].why, "hidden by another mount");
}

/* Whoever serves what lies over it may be frozen. */
static void
test_a_mount_point_that_leads_elsewhere_is_not_opened(void **state)
{
	(void)state;
	order.is_all = true;
	list[ROOT].is_hidden = true;
	assert_int_equal(open_files(), 0);
	assert_int_equal(files.count, 0);
	assert_string_equal(report.places[1].path, "/");
	assert_string_equal(report.places[1].why, "hidden by another mount");
}

static void
test_a_sync_opens_them_and_wants_none_frozen(void **state)
{
	(void)state;
	order.syncs = true;
	assert_int_equal(open_files(), 0);
	assert_the_root_is_open(false, false);
}

static void
test_one_is_named_by_any_path_on_it(void **state)
{
	(void)state;
	name("/..");
	name("/");
	assert_int_equal(open_files(), 0);
	assert_the_root_is_open(true, true);
	/* The others are of no concern, but for what is never frozen. */
	assert_int_equal(report.places_count, 1);
}

static void
test_a_path_that_is_not_there_is_an_error(void **state)
{
	(void)state;
	name("/");
	name(nowhere_path);
	assert_int_equal(open_files(), -ENOENT);
	assert_string_equal(words, "/nowhere/at/all: No such file or directory");
	assert_int_equal(files.count, 0);
}

static void
test_a_path_on_what_is_never_frozen_is_an_error(void **state)
{
	(void)state;
	name("/proc/self");
	assert_int_equal(open_files(), -EOPNOTSUPP);
	assert_string_equal(words, "/proc/self: virtual");
}

#define FILES_TEST(test) cmocka_unit_test_setup(test, begin)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		FILES_TEST(test_all_are_opened_and_what_cannot_be_is_listed),
		FILES_TEST(test_a_mount_point_that_leads_elsewhere_is_not_opened),
		FILES_TEST(test_a_sync_opens_them_and_wants_none_frozen),
		FILES_TEST(test_one_is_named_by_any_path_on_it),
		FILES_TEST(test_a_path_that_is_not_there_is_an_error),
		FILES_TEST(test_a_path_on_what_is_never_frozen_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
