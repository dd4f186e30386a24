/*
 * Which file systems are frozen, in which order, and which are not: by lists of mounts and
 * trees of devices that are like the kernel's.
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
#include <string.h>
#include <cmocka.h>

#include "platform/block_mounts.h"
#include "platform/fd.h"
#include "platform/mountinfo.h"
#include "scratch.h"

static int proc_fd = -1;
static int sys_fd = -1;

static void
make_dir(const char *name)
{
	assert_true(mkdir(scratch_path(name), 0755) == 0 || errno == EEXIST);
}

static int
open_dir(const char *name)
{
	int fd = open(scratch_path(name), O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

static int
make_trees(void **state)
{
	static const char *const dirs[] = { "proc", "proc/self", "sys", "sys/dev", "sys/dev/block",
		"sys/class", "sys/class/block", "sys/devices" };

	if (scratch_make(state) < 0)
		return -1;
	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++)
		make_dir(dirs[i]);
	proc_fd = open_dir("proc");
	sys_fd = open_dir("sys");
	return 0;
}

static int
remove_trees(void **state)
{
	fd_close(&proc_fd);
	fd_close(&sys_fd);
	return scratch_remove(state);
}

static void
write_in(const char *dir, const char *name, const char *text)
{
	char path[256];

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	scratch_write(path, text, 0644);
}

/* A device NAME with the number NUMBER; its directory is sys/devices/NAME. */
static void
make_device(const char *name, const char *number)
{
	char path[256];
	char target[256];
	char uevent[256];

	(void)snprintf(path, sizeof(path), "sys/devices/%s", name);
	make_dir(path);
	(void)snprintf(uevent, sizeof(uevent), "MAJOR=%.3s\nDEVNAME=%s\nDEVTYPE=disk\n", number,
	    strrchr(name, '/') != NULL ? strrchr(name, '/') + 1 : name);
	write_in(path, "uevent", uevent);
	(void)snprintf(target, sizeof(target), "../../devices/%s", name);
	(void)snprintf(path, sizeof(path), "sys/dev/block/%s", number);
	assert_int_equal(symlink(target, scratch_path(path)), 0);
	(void)snprintf(path, sizeof(path), "sys/class/block/%s",
	    strrchr(name, '/') != NULL ? strrchr(name, '/') + 1 : name);
	assert_int_equal(symlink(target, scratch_path(path)), 0);
}

/* NAME is a loop device with the file FILE. */
static void
make_loop(const char *name, const char *number, const char *file)
{
	char path[256];
	char text[256];

	make_device(name, number);
	(void)snprintf(path, sizeof(path), "sys/devices/%s/loop", name);
	make_dir(path);
	(void)snprintf(text, sizeof(text), "%s\n", file);
	write_in(path, "backing_file", text);
}

/* UPPER, a device, is made of LOWER. */
static void
make_slave(const char *upper, const char *lower)
{
	char path[256];
	char target[256];

	(void)snprintf(path, sizeof(path), "sys/devices/%s/slaves", upper);
	make_dir(path);
	(void)snprintf(path, sizeof(path), "sys/devices/%s/slaves/%s", upper, lower);
	(void)snprintf(target, sizeof(target), "../../%s", lower);
	assert_int_equal(symlink(target, scratch_path(path)), 0);
}

static struct block_mounts
read_mounts(const char *lines)
{
	struct block_mounts mounts;

	write_in("proc/self", "mountinfo", lines);
	assert_int_equal(block_mounts_read(proc_fd, sys_fd, &mounts), 0);
	return mounts;
}

/* EXPECTED: "PATH" of what is frozen, "PATH(why)" of what is not, with blanks between. */
static void
assert_mounts(const char *lines, const char *expected)
{
	struct block_mounts mounts = read_mounts(lines);
	char text[1024] = "";

	for (size_t i = 0; i < mounts.count; i++) {
		const struct block_mount *mount = &mounts.list[i];
		size_t len = strlen(text);

		(void)snprintf(text + len, sizeof(text) - len, "%s%s%s%s%s", i > 0 ? " " : "",
		    mount->path, mount->skipped != NULL ? "(" : "",
		    mount->skipped != NULL ? mount->skipped : "",
		    mount->skipped != NULL ? ")" : "");
	}
	assert_string_equal(text, expected);
	block_mounts_done(&mounts);
}

#define ROOT "20 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n"

/* ---- mountinfo ------------------------------------------------------------ */

static void
test_a_line_of_mountinfo_is_taken_apart(void **state)
{
	char line[] = "36 35 98:0 /a\\040b /mnt/c\\134d rw,noatime master:1 propagate_from:2 - "
		      "ext3 /dev/root rw,errors=continue";
	struct mountinfo info;
	unsigned len;
	const char *value;

	(void)state;
	assert_true(mountinfo_parse(line, &info));
	assert_int_equal(info.id, 36);
	assert_int_equal(info.parent, 35);
	assert_int_equal(info.major, 98);
	assert_int_equal(info.minor, 0);
	assert_string_equal(info.root, "/a b");
	assert_string_equal(info.point, "/mnt/c\\d");
	assert_string_equal(info.type, "ext3");
	assert_string_equal(info.source, "/dev/root");
	assert_string_equal(info.options, "rw,errors=continue");
	value = mountinfo_option(info.options, "errors", &len);
	assert_memory_equal(value, "continue", len);
	assert_int_equal(len, strlen("continue"));
	assert_null(mountinfo_option(info.options, "error", &len));
	assert_null(mountinfo_option(info.options, "ro", &len));
	assert_non_null(mountinfo_option(info.options, "rw", &len));
	assert_int_equal(len, 0);
}

static void
test_what_is_not_a_line_of_mountinfo_is_left_out(void **state)
{
	(void)state;
	assert_mounts("\n20 1 254:0 / / rw - ext4\n20 1 x:0 / / rw - ext4 /dev/vda rw\n"
		      "20 1 254:0 / / rw ext4 /dev/vda rw\n" ROOT "21",
	    "/");
}

static void
test_a_mount_without_a_source_is_one(void **state)
{
	(void)state;
	assert_mounts("21 20 0:30 / /t rw - tmpfs  rw\n", "/t(virtual)");
}

/* ---- which ---------------------------------------------------------------- */

static void
test_what_lies_on_no_device_of_the_guests_is_skipped(void **state)
{
	(void)state;
	make_device("nbd0", "43:0");
	make_device("ublkb1", "259:0");
	assert_mounts(ROOT "21 20 0:21 / /proc rw - proc proc rw\n"
			   "22 20 0:30 / /net rw - nfs4 host:/a rw\n"
			   "23 20 0:31 / /host rw - virtiofs tag rw\n"
			   "24 20 0:32 / /sshfs rw - fuse.sshfs a:/ rw\n"
			   "25 20 254:16 / /ntfs rw - fuseblk /dev/vdb rw\n"
			   "26 20 254:32 / /ro ro - squashfs /dev/vdc ro\n"
			   "27 20 43:0 / /nbd rw - ext4 /dev/nbd0 rw\n"
			   "28 20 259:0 / /ublk rw - xfs /dev/ublkb1 rw\n"
			   "29 20 0:33 / /9p rw - 9p tag rw\n",
	    "/9p(network) /ublk(ublk) /nbd(nbd) /ro(read-only) /ntfs(fuse) /sshfs(fuse) "
	    "/host(fuse) /net(network) /proc(virtual) /");
}

static void
test_a_mount_that_is_read_only_does_not_make_its_file_system_so(void **state)
{
	(void)state;
	assert_mounts("20 1 254:0 / / ro,relatime - ext4 /dev/vda rw\n", "/");
}

static void
test_a_mapped_device_on_a_network_is_skipped_as_that(void **state)
{
	(void)state;
	make_device("nbd0", "43:0");
	make_device("dm-0", "253:0");
	make_slave("dm-0", "nbd0");
	assert_mounts("20 1 253:0 / /crypt rw - ext4 /dev/mapper/c rw\n", "/crypt(nbd)");
}

static void
test_a_partition_is_what_its_disk_is(void **state)
{
	(void)state;
	make_device("nbd0", "43:0");
	make_device("nbd0/nbd0p1", "43:1");
	write_in("sys/devices/nbd0/nbd0p1", "partition", "1\n");
	assert_mounts("20 1 43:1 / /part rw - ext4 /dev/nbd0p1 rw\n", "/part(nbd)");
}

static void
test_a_file_system_of_many_mounts_is_there_once_by_its_root(void **state)
{
	struct block_mounts mounts;

	(void)state;
	mounts = read_mounts(ROOT "21 20 254:16 / /data rw - ext4 /dev/vdb rw\n"
				  "22 20 254:16 /sub /bind rw - ext4 /dev/vdb rw\n"
				  "23 20 254:0 /etc /bind2 rw - ext4 /dev/vda rw\n");
	assert_int_equal(mounts.count, 2);
	assert_string_equal(mounts.list[0].path, "/data");
	assert_string_equal(mounts.list[0].type, "ext4");
	assert_string_equal(mounts.list[1].path, "/");
	assert_false(mounts.list[0].is_hidden || mounts.list[1].is_hidden);
	block_mounts_done(&mounts);
}

static void
test_a_file_system_is_reached_by_a_mount_that_nothing_hides(void **state)
{
	struct block_mounts mounts;

	(void)state;
	/* The second stands over /a, and so over /a/b; the bind mount elsewhere is left. */
	mounts = read_mounts(ROOT "21 20 254:16 / /a/b rw - ext4 /dev/vdb rw\n"
				  "22 20 254:16 /x /c rw - ext4 /dev/vdb rw\n"
				  "23 20 254:32 / /a rw - ext4 /dev/vdc rw\n");
	assert_string_equal(mounts.list[0].path, "/a");
	assert_string_equal(mounts.list[1].path, "/c");
	assert_false(mounts.list[1].is_hidden);
	block_mounts_done(&mounts);
}

static void
test_a_file_system_that_nothing_leads_to_says_so(void **state)
{
	struct block_mounts mounts;

	(void)state;
	mounts = read_mounts(ROOT "21 20 254:16 / /a rw - ext4 /dev/vdb rw\n"
				  "22 21 254:32 / /a rw - ext4 /dev/vdc rw\n");
	assert_false(mounts.list[0].is_hidden);
	assert_true(mounts.list[1].is_hidden);
	block_mounts_done(&mounts);
}

static void
test_what_a_mount_stands_on_does_not_hide_it_wherever_it_is_listed(void **state)
{
	struct block_mounts mounts;

	(void)state;
	/* As mount --move leaves it: the upper mount comes first. */
	mounts = read_mounts("30 20 254:16 / /a/b rw - ext4 /dev/vdb rw\n" ROOT);
	assert_int_equal(mounts.count, 2);
	assert_false(mounts.list[1].is_hidden);
	block_mounts_done(&mounts);
}

/* A guest with root's rights can mount as many as the kernel lets it. */
static void
test_more_than_can_be_held_against_each_other_are_refused(void **state)
{
	struct block_mounts mounts;
	FILE *file;

	(void)state;
	file = fopen(scratch_path("proc/self/mountinfo"), "w");
	assert_non_null(file);
	for (int i = 0; i < 5000; i++)
		(void)fprintf(
		    file, "%d 20 0:%d / /run/%d rw - tmpfs none rw\n", 100 + i, 30 + i, i);
	(void)fclose(file);
	assert_int_equal(block_mounts_read(proc_fd, sys_fd, &mounts), -E2BIG);
}

/* ---- the order ------------------------------------------------------------ */

static void
test_the_last_mounted_is_frozen_first(void **state)
{
	(void)state;
	assert_mounts(ROOT "21 20 254:16 / /a rw - ext4 /dev/vdb rw\n"
			   "22 21 254:32 / /a/b rw - xfs /dev/vdc rw\n",
	    "/a/b /a /");
}

static void
test_a_loop_device_is_frozen_before_the_file_system_of_its_file(void **state)
{
	(void)state;
	make_loop("loop0", "7:0", "/data/images/disk.img");
	/* By the order of the mounts alone /data would be first. */
	assert_mounts("22 20 7:0 / /mnt rw - ext4 /dev/loop0 rw\n" ROOT
		      "21 20 254:16 / /data rw - ext4 /dev/vdb rw\n",
	    "/ /mnt /data");
}

static void
test_loops_in_loops_are_frozen_from_the_innermost_out(void **state)
{
	(void)state;
	make_loop("loop0", "7:0", "/data/disk.img");
	make_loop("loop1", "7:1", "/mnt/inner.img (deleted)");
	assert_mounts("23 20 7:1 / /inner rw - ext4 /dev/loop1 rw\n"
		      "22 20 7:0 / /mnt rw - ext4 /dev/loop0 rw\n"
		      "21 20 254:16 / /data rw - ext4 /dev/vdb rw\n",
	    "/inner /mnt /data");
}

static void
test_a_mapped_device_and_a_partition_of_a_loop_device_lie_on_its_file(void **state)
{
	(void)state;
	make_loop("loop0", "7:0", "/data/a.img");
	make_device("loop0/loop0p1", "259:5");
	write_in("sys/devices/loop0/loop0p1", "partition", "1\n");
	make_loop("loop1", "7:1", "/data/b.img");
	make_device("dm-1", "253:1");
	make_slave("dm-1", "loop1");
	assert_mounts("22 20 253:1 / /dm rw - ext4 /dev/mapper/x rw\n"
		      "23 20 259:5 / /part rw - ext4 /dev/loop0p1 rw\n"
		      "21 20 254:16 / /data rw - ext4 /dev/vdb rw\n",
	    "/part /dm /data");
}

static void
test_btrfs_which_has_no_number_of_a_device_is_known_by_its_source(void **state)
{
	(void)state;
	make_loop("loop0", "7:0", "/data/disk.img");
	assert_mounts("22 20 0:40 / /mnt rw - btrfs /dev/loop0 rw\n"
		      "21 20 254:16 / /data rw - ext4 /dev/vdb rw\n",
	    "/mnt /data");
}

static void
test_a_loop_device_whose_file_is_in_an_overlay_lies_on_the_upper_one(void **state)
{
	(void)state;
	make_loop("loop0", "7:0", "/merged/disk.img");
	assert_mounts("22 20 7:0 / /mnt rw - ext4 /dev/loop0 rw\n"
		      "21 20 0:44 / /merged rw - overlay overlay "
		      "rw,lowerdir=/low,upperdir=/data/up,workdir=/data/work\n"
		      "23 20 254:16 / /data rw - ext4 /dev/vdb rw\n",
	    "/mnt /merged(virtual) /data");
}

static void
test_the_upper_directory_of_an_overlay_may_have_a_comma_in_its_name(void **state)
{
	(void)state;
	make_loop("loop0", "7:0", "/merged/disk.img");
	assert_mounts("22 20 7:0 / /mnt rw - ext4 /dev/loop0 rw\n"
		      "21 20 0:44 / /merged rw - overlay overlay "
		      "rw,lowerdir=/low,upperdir=/a\\054b/up,workdir=/a\\054b/work\n"
		      "23 20 254:16 / /a,b rw - ext4 /dev/vdb rw\n",
	    "/mnt /merged(virtual) /a,b");
}

static void
test_the_file_of_a_loop_device_belongs_to_the_longest_mount_point_by_names(void **state)
{
	(void)state;
	make_loop("loop0", "7:0", "/data2/disk.img");
	/* Not /data, though the text begins so: it is the root's. */
	assert_mounts("22 20 7:0 / /mnt rw - ext4 /dev/loop0 rw\n" ROOT
		      "21 20 254:16 / /data rw - ext4 /dev/vdb rw\n",
	    "/data /mnt /");
}

static void
test_a_circle_is_cut(void **state)
{
	(void)state;
	make_loop("loop0", "7:0", "/b/disk.img");
	make_loop("loop1", "7:1", "/a/disk.img");
	assert_mounts("21 20 7:0 / /a rw - ext4 /dev/loop0 rw\n"
		      "22 20 7:1 / /b rw - ext4 /dev/loop1 rw\n",
	    "/b /a");
	make_slave("loop0", "loop1");
	make_slave("loop1", "loop0");
	assert_mounts("21 20 7:0 / /a rw - ext4 /dev/loop0 rw\n", "/a");
}

static void
test_a_list_that_cannot_be_read_is_an_error(void **state)
{
	struct block_mounts mounts;

	(void)state;
	(void)unlink(scratch_path("proc/self/mountinfo"));
	assert_int_equal(block_mounts_read(proc_fd, sys_fd, &mounts), -ENOENT);
}

static void
test_a_file_is_found_by_the_mount_that_it_was_opened_through(void **state)
{
	int CLEANUP_FD own_proc_fd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int CLEANUP_FD own_sys_fd = open("/sys", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int CLEANUP_FD root_fd = open("/", O_PATH | O_CLOEXEC);
	struct block_mounts mounts;
	size_t place;

	(void)state;
	assert_int_equal(block_mounts_read(own_proc_fd, own_sys_fd, &mounts), 0);
	assert_int_equal(block_mounts_find(&mounts, root_fd, &place), 0);
	assert_string_equal(mounts.list[place].path, "/");
	assert_int_equal(block_mounts_find(&mounts, own_proc_fd, &place), 0);
	assert_string_equal(mounts.list[place].type, "proc");
	assert_int_equal(block_mounts_find(&mounts, -1, &place), -EBADF);
	mounts.ids_count = 0;
	assert_int_equal(block_mounts_find(&mounts, root_fd, &place), -ENOENT);
	block_mounts_done(&mounts);
}

static void
test_the_mounts_of_this_machine_are_read(void **state)
{
	int CLEANUP_FD own_proc_fd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int CLEANUP_FD own_sys_fd = open("/sys", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct block_mounts mounts;

	(void)state;
	assert_int_equal(block_mounts_read(own_proc_fd, own_sys_fd, &mounts), 0);
	assert_true(mounts.count > 0);
	block_mounts_done(&mounts);
}

#define MOUNTS_TEST(name) cmocka_unit_test_setup_teardown(name, make_trees, remove_trees)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_line_of_mountinfo_is_taken_apart),
		MOUNTS_TEST(test_what_is_not_a_line_of_mountinfo_is_left_out),
		MOUNTS_TEST(test_a_mount_without_a_source_is_one),
		MOUNTS_TEST(test_what_lies_on_no_device_of_the_guests_is_skipped),
		MOUNTS_TEST(test_a_mount_that_is_read_only_does_not_make_its_file_system_so),
		MOUNTS_TEST(test_a_mapped_device_on_a_network_is_skipped_as_that),
		MOUNTS_TEST(test_a_partition_is_what_its_disk_is),
		MOUNTS_TEST(test_a_file_system_of_many_mounts_is_there_once_by_its_root),
		MOUNTS_TEST(test_a_file_system_is_reached_by_a_mount_that_nothing_hides),
		MOUNTS_TEST(test_a_file_system_that_nothing_leads_to_says_so),
		MOUNTS_TEST(test_what_a_mount_stands_on_does_not_hide_it_wherever_it_is_listed),
		MOUNTS_TEST(test_more_than_can_be_held_against_each_other_are_refused),
		MOUNTS_TEST(test_the_last_mounted_is_frozen_first),
		MOUNTS_TEST(test_a_loop_device_is_frozen_before_the_file_system_of_its_file),
		MOUNTS_TEST(test_loops_in_loops_are_frozen_from_the_innermost_out),
		MOUNTS_TEST(test_a_mapped_device_and_a_partition_of_a_loop_device_lie_on_its_file),
		MOUNTS_TEST(test_btrfs_which_has_no_number_of_a_device_is_known_by_its_source),
		MOUNTS_TEST(test_a_loop_device_whose_file_is_in_an_overlay_lies_on_the_upper_one),
		MOUNTS_TEST(test_the_upper_directory_of_an_overlay_may_have_a_comma_in_its_name),
		MOUNTS_TEST(
		    test_the_file_of_a_loop_device_belongs_to_the_longest_mount_point_by_names),
		MOUNTS_TEST(test_a_circle_is_cut),
		MOUNTS_TEST(test_a_list_that_cannot_be_read_is_an_error),
		cmocka_unit_test(test_a_file_is_found_by_the_mount_that_it_was_opened_through),
		MOUNTS_TEST(test_the_mounts_of_this_machine_are_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
