/*
 * SPDX-License-Identifier: MIT
 */
#include "platform/cgroup_find.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
#include <sys/xattr.h>

#include "platform/cgroup.h"
#include "platform/fd.h"
#include "platform/mountinfo.h"
#include "platform/proc.h"
#include "platform/stream.h"

/* The beginning of the line of /proc/PID/cgroup that is about version 2. */
#define CGROUP_FIND_OWN "0::"

#define CGROUP_FIND_TYPE "cgroup2"

/* ---- text -------------------------------------------------------------- */

bool
cgroup_find_path(char *line, const char *own, char *path, size_t size)
{
	struct mountinfo mount;
	int len;

	if (!mountinfo_parse(line, &mount) || strcmp(mount.type, CGROUP_FIND_TYPE) != 0 ||
	    !mountinfo_is_below(own, mount.root))
		return false;
	if (strcmp(mount.root, "/") != 0)
		own += strlen(mount.root);
	len = snprintf(path, size, "%s%s", mount.point, own);
	return len > 0 && (size_t)len < size;
}

/* ---- files ------------------------------------------------------------- */

/* Calls SEE with each line of a file of /proc, without its newline, until it
 * returns true. Returns 0, -ENOENT where it never did, or -errno. */
static int
cgroup_find_line(const char *name, bool (*see)(char *line, void *context), void *context)
{
	FILE CLEANUP_FILE *file = NULL;
	int r = stream_open(proc_dir_fd(), name, &file);
	bool found = false;
	char *line = NULL;
	size_t size = 0;

	if (r < 0)
		return r;
	while (!found && getline(&line, &size, file) > 0) {
		line[strcspn(line, "\n")] = '\0';
		found = see(line, context);
	}
	free(line);
	return found ? 0 : -ENOENT;
}

struct cgroup_find {
	const char *own;
	int fd;
};

static bool
cgroup_find_is_cgroup(int fd)
{
	struct statfs status;

	return fstatfs(fd, &status) == 0 && status.f_type == CGROUP2_SUPER_MAGIC;
}

/* A mount can be hidden by another that was made over it. */
static bool
cgroup_find_see_mount(char *line, void *context)
{
	struct cgroup_find *find = context;
	char path[PATH_MAX];

	if (!cgroup_find_path(line, find->own, path, sizeof(path)))
		return false;
	find->fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (!cgroup_find_is_cgroup(find->fd))
		fd_close(&find->fd);
	return find->fd >= 0;
}

/* Opens the cgroup OWN by whichever mount shows it. */
static int
cgroup_find_open(const char *own, int *ret_fd)
{
	struct cgroup_find find = { .own = own, .fd = -1 };
	int r = cgroup_find_line("self/mountinfo", cgroup_find_see_mount, &find);

	if (r == 0)
		*ret_fd = find.fd;
	return r;
}

static bool
cgroup_find_see_own(char *line, void *context)
{
	if (strncmp(line, CGROUP_FIND_OWN, strlen(CGROUP_FIND_OWN)) != 0)
		return false;
	return strlcpy(context, line + strlen(CGROUP_FIND_OWN), PATH_MAX) < PATH_MAX;
}

int
cgroup_find_root(int *ret_fd)
{
	return cgroup_find_open("/", ret_fd);
}

/* ---- memory ------------------------------------------------------------ */

uint64_t
cgroup_find_memory_max(void)
{
	uint64_t least = UINT64_MAX;
	int CLEANUP_FD fd = -1;
	char own[PATH_MAX];

	if (cgroup_find_line("self/cgroup", cgroup_find_see_own, own) == 0)
		(void)cgroup_find_open(own, &fd);
	while (cgroup_find_is_cgroup(fd)) {
		int above_fd = openat(fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		uint64_t limit;

		if (cgroup_read_number(fd, "memory.max", &limit) == 0 && limit < least)
			least = limit;
		fd_close(&fd);
		fd = above_fd;
	}
	return least;
}

/* ---- delegation -------------------------------------------------------- */

static bool
cgroup_find_is_delegated(int fd)
{
	static const char *const names[] = { "user.delegate", "trusted.delegate" };
	char value;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (fgetxattr(fd, names[i], &value, sizeof(value)) == sizeof(value) && value == '1')
			return true;
	}
	return false;
}

static int
cgroup_find_open_delegated(const char *own, int *ret_fd)
{
	int CLEANUP_FD fd = -1;
	int r = cgroup_find_open(own, &fd);

	if (r < 0)
		return r;
	if (!cgroup_find_is_delegated(fd))
		return -EPERM;
	*ret_fd = fd_steal(&fd);
	return 0;
}

int
cgroup_find_delegated(const char *leaf, int *ret_fd)
{
	char own[PATH_MAX];
	int r = cgroup_find_line("self/cgroup", cgroup_find_see_own, own);
	char *last;

	if (r == 0)
		r = cgroup_find_open_delegated(own, ret_fd);
	if (r != -EPERM)
		return r;
	last = strrchr(own, '/');
	if (last == NULL || last == own || strcmp(last + 1, leaf) != 0)
		return -EPERM;
	*last = '\0';
	return cgroup_find_open_delegated(own, ret_fd);
}
