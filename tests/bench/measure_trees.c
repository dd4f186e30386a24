/*
 * measure_trees: a tree of small files, copied by the client; its floor is what a user would
 * do instead: tar on both sides, through a program run in the guest.
 *
 * SPDX-License-Identifier: MIT
 */
#include <err.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "floor.h"
#include "measure.h"
#include "platform/clock.h"
#include "platform/fd.h"
#include "report.h"
#include "sample.h"

#define TREES_ROUNDS 7
#define TREES_FOLDERS 100
#define TREES_FILES 100 /* of each folder */
#define TREES_FILE_LEN 1024
#define TREES_PATH_MAX 128
#define TREES_COMMAND_MAX 1024
#define TREES_OPEN_MAX 16

/* The client is $C, the tree $D/tree, and its copy is to be $D/copy. */
struct trees_case {
	const char *folder;
	const char *command;
	size_t folders;
};

static size_t trees_entries;

static int
trees_count_entry(const char *path, const struct stat *status, int kind, struct FTW *at)
{
	(void)path;
	(void)status;
	(void)at;
	trees_entries += kind == FTW_F;
	return 0;
}

static void
trees_shell(const char *command)
{
	const char *const argv[] = { "/bin/sh", "-c", command, NULL };

	floor_wait(floor_spawn(argv, -1, -1));
}

static void
trees_remove(const char *folder, const char *name)
{
	char command[TREES_COMMAND_MAX];

	(void)snprintf(command, sizeof(command), "rm -rf %s/%s", folder, name);
	trees_shell(command);
}

static void
trees_make_file(const char *path)
{
	static const uint8_t bytes[TREES_FILE_LEN];
	int CLEANUP_FD fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

	if (fd < 0 || fd_write_full(fd, bytes, sizeof(bytes)) < 0)
		err(1, "%s", path);
}

static void
trees_make(const char *folder, size_t folders)
{
	char path[TREES_PATH_MAX];

	(void)snprintf(path, sizeof(path), "%s/tree", folder);
	for (size_t i = 0; i <= folders; i++) {
		if (mkdir(path, 0755) < 0)
			err(1, "%s", path);
		for (size_t file = 0; i > 0 && file < TREES_FILES; file++) {
			(void)snprintf(path, sizeof(path), "%s/tree/%zu/%zu", folder, i, file);
			trees_make_file(path);
		}
		(void)snprintf(path, sizeof(path), "%s/tree/%zu", folder, i + 1);
	}
}

/* ms of the copy, which must have all of the tree's files. */
static double
trees_run(const void *argument)
{
	const struct trees_case *trees = argument;
	uint64_t start = clock_mono_us();
	char copy[TREES_PATH_MAX];
	double ms;

	trees_shell(trees->command);
	ms = (double)(clock_mono_us() - start) / 1e3;
	(void)snprintf(copy, sizeof(copy), "%s/copy", trees->folder);
	trees_entries = 0;
	if (nftw(copy, trees_count_entry, TREES_OPEN_MAX, FTW_PHYS) < 0 ||
	    trees_entries != trees->folders * TREES_FILES)
		errx(1, "%zu files came: %s", trees_entries, trees->command);
	trees_remove(trees->folder, "copy");
	return ms;
}

static void
trees_set_environment(const struct target *target, const char *client, const char *folder)
{
	char address[sizeof(target->address.path) + 32];

	if (target->address.kind == ADDRESS_UNIX)
		(void)snprintf(address, sizeof(address), "unix:%s", target->address.path);
	else
		(void)snprintf(address, sizeof(address), "vsock:%u", target->address.cid);
	if (setenv("VMM_GUEST_ADDR", address, 1) < 0 || setenv("C", client, 1) < 0 ||
	    setenv("D", folder, 1) < 0)
		err(1, "setenv");
}

void
measure_trees(const struct target *target, const char *client, const char *folder)
{
	static const struct {
		const char *name;
		const char *agent;
		const char *floor;
	} rows[] = {
		{ "10,000 files into the guest, floor: tar by exec",
		    "exec \"$C\" cp -r \"$D/tree\" \"vm:$D/copy\"",
		    "mkdir \"$D/copy\" && tar -C \"$D/tree\" -c . |"
		    "\"$C\" exec -i -- tar -C \"$D/copy\" -x" },
		{ "10,000 files out of the guest, floor: tar by exec",
		    "exec \"$C\" cp -r \"vm:$D/tree\" \"$D/copy\"",
		    "mkdir \"$D/copy\" && \"$C\" exec -- tar -C \"$D/tree\" -c . |"
		    "tar -C \"$D/copy\" -x" },
		{ "the same, with modes and times (-p), into it",
		    "exec \"$C\" cp -rp \"$D/tree\" \"vm:$D/copy\"",
		    "mkdir \"$D/copy\" && tar -C \"$D/tree\" -c . |"
		    "\"$C\" exec -i -- tar -C \"$D/copy\" -xp" },
		{ "the same, with modes and times (-p), out of it",
		    "exec \"$C\" cp -rp \"vm:$D/tree\" \"$D/copy\"",
		    "mkdir \"$D/copy\" && \"$C\" exec -- tar -C \"$D/tree\" -c . |"
		    "tar -C \"$D/copy\" -xp" },
	};
	static struct sample agent;
	static struct sample floor;
	size_t folders = sample_few(TREES_FOLDERS);

	trees_set_environment(target, client, folder);
	trees_make(folder, folders);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct trees_case by_client = { folder, rows[i].agent, folders };
		struct trees_case by_tar = { folder, rows[i].floor, folders };

		sample_alternate((struct sample_side){ trees_run, &by_client },
		    (struct sample_side){ trees_run, &by_tar }, TREES_ROUNDS, &agent, &floor);
		report_add((struct report_row){ rows[i].name, "ms", sample_percentile(&agent, 50),
		    sample_percentile(&floor, 50), REPORT_RATIO_MAX, 1.0 });
	}
	trees_remove(folder, "tree");
}
