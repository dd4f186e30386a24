/*
 * mount_point: one file system on its mount point.
 */
#include "platform/mount_point.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#define MOUNT_POINT_MODE 0755

bool
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
	if (mkdir(point->target, MOUNT_POINT_MODE) < 0 && errno != EEXIST)
		return -errno;
	/* The type stands for the device too, as mount(8) shows it. */
	if (mount(point->type, point->target, point->type, point->flags, point->options) < 0)
		return -errno;
	return 0;
}

int
mount_point_bind(const char *source, const char *target)
{
	return mount(source, target, NULL, MS_BIND, NULL) < 0 ? -errno : 0;
}
