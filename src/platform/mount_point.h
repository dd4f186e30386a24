/*
 * mount_point: one file system on its mount point. The one file that calls
 * mount(2).
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PLATFORM_MOUNT_POINT_H
#define PLATFORM_MOUNT_POINT_H

struct mount_point {
	const char *type;    /* of filesystems(5) */
	const char *target;  /* absolute; made (0755) where it is missing */
	unsigned long flags; /* MS_… of mount(2) */
	const char *options; /* of the file system, or NULL */
	long magic;	     /* of statfs(2): how one that is there already is known */
};

/* Mounts it, unless a file system with its magic is mounted there already: most
 * kinds would be stacked without an error, and hide what is in use below.
 * devtmpfs has the magic of tmpfs, so that a /dev that somebody else has filled
 * counts as there. Needs no /proc. Returns 0; -errno of mkdir(2) or mount(2). */
int mount_point_make(const struct mount_point *point);

/* Binds the file or directory SOURCE over TARGET, which must be there. Returns 0
 * or -errno of mount(2). */
int mount_point_bind(const char *source, const char *target);

/* Makes every file system that lies on a device read-only, the last mounted first,
 * as far as each lets itself: for the end of the machine. Can hang as sync(2) can.
 * Returns 0, or -errno where the list of mounts (proc(5)) can't be had. */
int mount_point_freeze_all(void);

#endif
