/*
 * SPDX-License-Identifier: MIT
 */
#include "platform/mount_point.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "platform/compat.h"
#include "platform/io_result.h"
#include "platform/mountinfo.h"
#include "platform/proc.h"
#include "platform/stream.h"

#define MOUNT_POINT_MODE 0755

/* A mount's line with its options; of a longer one nothing is found. */
#define MOUNT_POINT_LINE_MAX 8192

/* Whether something is mounted on PATH (statx(2), from Linux 5.8). */
static bool
mount_point_is_there(const char *path)
{
	struct statx status;

	return statx(AT_FDCWD, path, AT_STATX_DONT_SYNC, STATX_TYPE, &status) == 0 &&
	       (status.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0;
}

static bool
mount_point_is_done(const struct mount_point *point)
{
	struct statfs status;

	return mount_point_is_there(point->target) && statfs(point->target, &status) == 0 &&
	       status.f_type == point->magic;
}

int
mount_point_make(const struct mount_point *point)
{
	if (mount_point_is_done(point))
		return 0;
	/* The error of a mount point that can't be made is the more telling one. */
	if (mkdirat(AT_FDCWD, point->target, MOUNT_POINT_MODE) < 0 && errno != EEXIST)
		return -errno;
	/* The type stands for the device too, as mount(8) shows it. */
	return io_result(
	    mount(point->type, point->target, point->type, point->flags, point->options));
}

int
mount_point_bind(const char *source, const char *target)
{
	return io_result(mount(source, target, NULL, MS_BIND, NULL));
}

/* What lies on a device has data to lose; sources such as "tmpfs" are names only. */
static bool
mount_point_is_on_device(const char *source)
{
	return strncmp(source, "/dev/", strlen("/dev/")) == 0;
}

/* The targets of all that is mounted from a device, in the order of their mounts.
 * *RET_LIST and what it holds are the caller's. Returns how many there are. */
static size_t
mount_point_list(FILE *mounts, char ***ret_list)
{
	static char line[MOUNT_POINT_LINE_MAX];
	struct mountinfo mount;
	char **list = NULL;
	size_t count = 0;

	while (fgets(line, sizeof(line), mounts) != NULL) {
		char **longer;

		if (!mountinfo_parse(line, &mount) || !mount_point_is_on_device(mount.source))
			continue;
		longer = reallocarray(list, count + 1, sizeof(*list));
		if (longer == NULL)
			break;
		list = longer;
		list[count] = strdup(mount.point);
		if (list[count] == NULL)
			break;
		count++;
	}
	*ret_list = list;
	return count;
}

int
mount_point_freeze_all(void)
{
	FILE CLEANUP_FILE *mounts = NULL;
	int r = stream_open(proc_dir_fd(), "self/mountinfo", &mounts);
	char **list;
	size_t count;

	if (r < 0)
		return r;
	count = mount_point_list(mounts, &list);
	while (count-- > 0) {
		(void)mount(NULL, list[count], NULL, MS_REMOUNT | MS_RDONLY, NULL);
		free(list[count]);
	}
	free(list);
	return 0;
}
