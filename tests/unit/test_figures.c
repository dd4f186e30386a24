/*
 * What is counted of a guest, read from files that are like those of /proc and of a cgroup.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <cmocka.h>

#include "platform/figures.h"
#include "scratch.h"

static int
open_scratch(void)
{
	int fd = open(scratch_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

static FILE *
begin_file(const char *path)
{
	char whole[PATH_MAX + 64];
	FILE *file;

	(void)snprintf(whole, sizeof(whole), "%s/%s", scratch_dir, path);
	for (char *slash = whole + strlen(scratch_dir) + 1; (slash = strchr(slash, '/')) != NULL;
	     *slash++ = '/') {
		*slash = '\0';
		assert_true(mkdir(whole, 0755) == 0 || errno == EEXIST);
	}
	file = fopen(whole, "w");
	assert_non_null(file);
	return file;
}

static void
put_file(const char *path, const char *text)
{
	FILE *file = begin_file(path);

	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

static void
read_scratch(struct figures_room *room)
{
	int fd = open_scratch();

	figures_read(fd, room);
	(void)close(fd);
}

static void
test_times_and_amounts_are_in_the_units_that_their_names_say(void **state)
{
	static const char stat[] = "cpu  1 2 3 4 5 6 7 8 9 10\n"
				   "cpu0 1 1 1 1 1 1 1 1 0 0\n"
				   "cpu3 0 1 2 3 4 5 6 7 9 10\n"
				   "intr 99 1 2 3\n";
	static const char meminfo[] = "MemTotal:        1000 kB\nMemFree:           10 kB\n"
				      "MemAvailable:     20 kB\nBuffers:            5 kB\n"
				      "SwapTotal:         7 kB\nSwapFree:          6 kB\n";
	struct figures_room room;

	(void)state;
	put_file("sys/kernel/osrelease", "6.1.0-13-amd64\n");
	put_file("stat", stat);
	put_file("meminfo", meminfo);
	read_scratch(&room);
	assert_string_equal(room.figures.kernel, "6.1.0-13-amd64");
	assert_int_equal(room.figures.cpus, 2);
	for (unsigned i = 0; i < FIGURES_CPU_COUNT; i++)
		assert_int_equal(room.figures.cpu_ms[i], (i + 1) * 10);
	assert_int_equal(room.figures.memory[FIGURES_TOTAL], 1024000);
	assert_int_equal(room.figures.memory[FIGURES_FREE], 10240);
	assert_int_equal(room.figures.memory[FIGURES_AVAILABLE], 20480);
	assert_int_equal(room.figures.memory[FIGURES_SWAP_TOTAL], 7168);
	assert_int_equal(room.figures.memory[FIGURES_SWAP_FREE], 6144);
	assert_true(room.figures.uptime_ms > 0);
	assert_true(room.figures.root.bytes >= room.figures.root.free_bytes);
}

static void
test_what_is_not_there_is_zero(void **state)
{
	struct figures_room room;

	(void)state;
	read_scratch(&room);
	assert_string_equal(room.figures.kernel, "");
	assert_int_equal(room.figures.cpus, 0);
	assert_int_equal(room.figures.memory[FIGURES_TOTAL], 0);
	assert_int_equal(room.figures.disks_count, 0);
	assert_int_equal(room.figures.links_count, 0);
	assert_false(room.figures.has_pressure);
}

static void
test_parts_of_a_disk_and_disks_that_nobody_used_are_left_out(void **state)
{
	static const char disks[] = "   1       0 ram0 0 0 0 0 0 0 0 0 0 0 0\n"
				    "   7       1 loop1 1 0 2 0 0 0 0 0 0 9 9\n"
				    "   7      10 loop10 1 0 2 0 0 0 0 0 0 9 9\n"
				    " 254       0 vda 10 1 20 5 30 2 40 6 0 70 80 0 0 0 0\n"
				    " 254       1 vda1 9 1 20 5 30 2 40 6 0 70 80\n"
				    " 254      12 vda12 9 1 20 5 30 2 40 6 0 70 80\n"
				    "   8       0 vdaa 1 1 20 5 30 2 40 6 0 70 80\n"
				    " 259       0 nvme0n1 1 1 20 5 30 2 40 6 0 70 80\n"
				    " 259       1 nvme0n1p1 1 1 20 5 30 2 40 6 0 70 80\n"
				    "garbage\n";
	static const char *const names[] = { "loop1", "loop10", "vda", "vdaa", "nvme0n1" };
	struct figures_room room;

	(void)state;
	put_file("diskstats", disks);
	read_scratch(&room);
	assert_int_equal(room.figures.disks_count, 5);
	for (size_t i = 0; i < 5; i++)
		assert_string_equal(room.figures.disks[i].name, names[i]);
	assert_int_equal(room.disks[2].reads, 10);
	assert_int_equal(room.disks[2].read_bytes, 20 * 512);
	assert_int_equal(room.disks[2].writes, 30);
	assert_int_equal(room.disks[2].written_bytes, 40 * 512);
	assert_int_equal(room.disks[2].busy_ms, 70);
}

static void
test_interfaces_are_told_by_name(void **state)
{
	static const char links[] =
	    "Inter-|   Receive                            |  Transmit\n"
	    " face |bytes    packets errs drop fifo frame compressed multicast|bytes\n"
	    "    lo:       1      2    3    4    5     6          7         8        9 0 0\n"
	    "veth1234567890a:18446744073709551615 2 3 4 5 6 7 8 10 11 12\n";
	struct figures_room room;

	(void)state;
	put_file("net/dev", links);
	read_scratch(&room);
	assert_int_equal(room.figures.links_count, 2);
	assert_string_equal(room.figures.links[0].name, "lo");
	assert_int_equal(room.figures.links[0].received_bytes, 1);
	assert_int_equal(room.figures.links[0].sent_bytes, 9);
	assert_string_equal(room.figures.links[1].name, "veth1234567890a");
	assert_int_equal(room.figures.links[1].received_bytes, UINT64_MAX);
	assert_int_equal(room.figures.links[1].sent_bytes, 10);
}

static void
test_pressure_is_told_of_some_and_of_all_work(void **state)
{
	struct figures_room room;

	(void)state;
	put_file("pressure/cpu", "some avg10=0.00 avg60=0.00 avg300=0.00 total=1\n");
	put_file("pressure/memory", "some avg10=0.00 avg60=1.50 avg300=0.00 total=3\n"
				    "full avg10=0.00 avg60=0.00 avg300=0.00 total=4\n");
	put_file("pressure/io", "some avg10=0.00 avg60=1.50 avg300=0.00 total=5\n"
				"full avg10=0.00 avg60=0.00 avg300=0.00 total=6\n");
	read_scratch(&room);
	assert_true(room.figures.has_pressure);
	assert_int_equal(room.figures.cpu_stall_us[FIGURES_SOME], 1);
	assert_int_equal(room.figures.cpu_stall_us[FIGURES_FULL], 0);
	assert_int_equal(room.figures.memory_stall_us[FIGURES_SOME], 3);
	assert_int_equal(room.figures.memory_stall_us[FIGURES_FULL], 4);
	assert_int_equal(room.figures.io_stall_us[FIGURES_SOME], 5);
	assert_int_equal(room.figures.io_stall_us[FIGURES_FULL], 6);
}

/* More lines than are read, and in the first of them more interfaces and disks than there is
 * room for. */
static void
test_files_without_an_end_are_read_no_further_than_there_is_room(void **state)
{
	FILE *links = begin_file("net/dev");
	FILE *disks = begin_file("diskstats");
	FILE *meminfo = begin_file("meminfo");
	FILE *stat = begin_file("stat");
	struct figures_room room;

	(void)state;
	for (unsigned i = 0; i < 100000; i++) {
		(void)fprintf(links, "if%u: 1 2 3 4 5 6 7 8 9\n", i);
		(void)fprintf(disks, "9 9 disk%u 1 1 1 1 1 1 1 1 1 1 1\n", i);
		(void)fprintf(meminfo, "Other%u: 1 kB\n", i);
		(void)fprintf(stat, "cpu%u 1\n", i);
	}
	(void)fputs("MemTotal: 1 kB\n", meminfo);
	assert_int_equal(fclose(links) | fclose(disks) | fclose(meminfo) | fclose(stat), 0);
	read_scratch(&room);
	assert_int_equal(room.figures.links_count, FIGURES_LINKS_MAX);
	assert_int_equal(room.figures.disks_count, FIGURES_DISKS_MAX);
	assert_string_equal(room.links[FIGURES_LINKS_MAX - 1].name, "if31");
	assert_int_equal(room.figures.memory[FIGURES_TOTAL], 0);
	assert_int_equal(room.figures.cpus, 512);
}

static void
test_a_line_without_an_end_is_no_reason_to_fail(void **state)
{
	static const char *const paths[] = { "stat", "meminfo", "diskstats", "net/dev",
		"pressure/cpu", "sys/kernel/osrelease" };
	struct figures_room room;

	(void)state;
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		FILE *file = begin_file(paths[i]);

		for (unsigned j = 0; j < 200000; j++)
			(void)fputc('7', file);
		assert_int_equal(fclose(file), 0);
	}
	read_scratch(&room);
	assert_int_equal(strlen(room.figures.kernel), FIGURES_KERNEL_MAX - 1);
	assert_int_equal(room.figures.disks_count + room.figures.links_count, 0);
}

/* A FIFO that nobody writes to stands for a file system that does not answer. Exits with 77 where
 * nothing can be mounted. */
static void
read_what_is_mounted_over(void)
{
	char fifo[PATH_MAX + 16];
	char meminfo[PATH_MAX + 16];
	struct figures_room room;

	(void)snprintf(fifo, sizeof(fifo), "%s/fifo", scratch_dir);
	(void)snprintf(meminfo, sizeof(meminfo), "%s/meminfo", scratch_dir);
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mkfifo(fifo, 0600) < 0 || mount(fifo, meminfo, NULL, MS_BIND, NULL) < 0)
		_exit(77);
	(void)alarm(60);
	figures_read(open(scratch_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), &room);
	_exit(room.figures.memory[FIGURES_TOTAL] == 0 && room.figures.cpus == 1 ? 0 : 1);
}

static void
test_what_is_mounted_over_a_file_is_not_waited_for(void **state)
{
	pid_t pid;
	int status;

	(void)state;
	if (geteuid() != 0)
		skip();
	put_file("meminfo", "MemTotal: 1 kB\n");
	put_file("stat", "cpu0 1 1 1\n");
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		read_what_is_mounted_over();
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void
test_a_session_has_what_its_cgroup_counts(void **state)
{
	struct figures_session session;
	int fd = open_scratch();

	(void)state;
	put_file("7/memory.current", "4096\n");
	put_file("7/cpu.stat", "usage_usec 123\nuser_usec 100\nsystem_usec 23\n");
	put_file("8/cpu.stat", "usage_usec 5\n");
	figures_read_session(fd, 7, &session);
	assert_true(session.has_memory && session.has_cpu);
	assert_int_equal(session.memory_bytes, 4096);
	assert_int_equal(session.cpu_us, 123);
	figures_read_session(fd, 8, &session);
	assert_true(!session.has_memory && session.has_cpu);
	figures_read_session(fd, 9, &session);
	assert_true(!session.has_memory && !session.has_cpu);
	(void)close(fd);
	figures_read_session(-1, 7, &session);
	assert_true(!session.has_memory && !session.has_cpu);
}

#define FIGURES_TEST(name) cmocka_unit_test_setup_teardown(name, scratch_make, scratch_remove)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		FIGURES_TEST(test_times_and_amounts_are_in_the_units_that_their_names_say),
		FIGURES_TEST(test_what_is_not_there_is_zero),
		FIGURES_TEST(test_parts_of_a_disk_and_disks_that_nobody_used_are_left_out),
		FIGURES_TEST(test_interfaces_are_told_by_name),
		FIGURES_TEST(test_pressure_is_told_of_some_and_of_all_work),
		FIGURES_TEST(test_files_without_an_end_are_read_no_further_than_there_is_room),
		FIGURES_TEST(test_a_line_without_an_end_is_no_reason_to_fail),
		FIGURES_TEST(test_what_is_mounted_over_a_file_is_not_waited_for),
		FIGURES_TEST(test_a_session_has_what_its_cgroup_counts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
