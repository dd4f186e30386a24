/*
 * boot_mounts: the table of file systems, in the order in which they are mounted.
 *
 * SPDX-License-Identifier: MIT
 */
#include "boot/step.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <stddef.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "platform/log.h"
#include "platform/mount_point.h"
#include "platform/pty.h"

/* /dev/pts has half of the kernel's 4096 terminals. What users mount in their own name
 * spaces has as many as sysctl.c lets it have; 64 are left for the host. */
static const struct mount_point boot_mounts_table[] = {
	{
	    .type = "proc",
	    .target = "/proc",
	    .flags = MS_NOSUID | MS_NODEV | MS_NOEXEC,
	    .magic = PROC_SUPER_MAGIC,
	},
	{
	    .type = "sysfs",
	    .target = "/sys",
	    .flags = MS_NOSUID | MS_NODEV | MS_NOEXEC,
	    .magic = SYSFS_MAGIC,
	},
	{
	    .type = "devtmpfs",
	    .target = "/dev",
	    .flags = MS_NOSUID,
	    .options = "mode=0755",
	    .magic = TMPFS_MAGIC,
	},
	{
	    .type = "devpts",
	    .target = "/dev/pts",
	    .flags = MS_NOSUID | MS_NOEXEC,
	    .options = "newinstance,ptmxmode=0666,mode=0620,gid=5,max=2048",
	    .magic = DEVPTS_SUPER_MAGIC,
	},
	/* For the host's sessions, when the guest's users have all of the one above. */
	{
	    .type = "devpts",
	    .target = PTY_HOST_DIR,
	    .flags = MS_NOSUID | MS_NOEXEC,
	    .options = "newinstance,ptmxmode=0600,mode=0620,gid=5",
	    .magic = DEVPTS_SUPER_MAGIC,
	},
	{
	    .type = "tmpfs",
	    .target = "/dev/shm",
	    .flags = MS_NOSUID | MS_NODEV,
	    /* What a session leaves there outlives it, and is charged to all of them. */
	    .options = "mode=1777,size=25%",
	    .magic = TMPFS_MAGIC,
	},
	{
	    .type = "tmpfs",
	    .target = "/run",
	    .flags = MS_NOSUID | MS_NODEV,
	    .options = "mode=0755",
	    .magic = TMPFS_MAGIC,
	},
	{
	    .type = "cgroup2",
	    .target = "/sys/fs/cgroup",
	    .flags = MS_NOSUID | MS_NODEV | MS_NOEXEC,
	    .options = "nsdelegate",
	    .magic = CGROUP2_SUPER_MAGIC,
	},
};

/* Used only where the one that is there can't be used. */
static const struct mount_point boot_mounts_tmp = {
	.type = "tmpfs",
	.target = "/tmp",
	.flags = MS_NOSUID | MS_NODEV,
	.options = "mode=1777",
	.magic = TMPFS_MAGIC,
};

#define BOOT_MOUNTS_TMP_MODE 01777

static void
boot_mounts_make(const struct mount_point *point)
{
	int r = mount_point_make(point);

	if (r < 0)
		log_error(r, "boot: can't mount %s on %s", point->type, point->target);
}

static void
boot_mounts_make_tmp(void)
{
	const char *path = boot_mounts_tmp.target;

	/* mkdir(2) obeys the umask, which would take the others' right to write. */
	if (mkdirat(AT_FDCWD, path, BOOT_MOUNTS_TMP_MODE) == 0 &&
	    fchmodat(AT_FDCWD, path, BOOT_MOUNTS_TMP_MODE, 0) == 0)
		return;
	if (faccessat(AT_FDCWD, path, W_OK, 0) < 0)
		boot_mounts_make(&boot_mounts_tmp);
}

void
boot_mounts(const struct boot_settings *settings)
{
	(void)settings;
	for (size_t i = 0; i < sizeof(boot_mounts_table) / sizeof(boot_mounts_table[0]); i++)
		boot_mounts_make(&boot_mounts_table[i]);
	boot_mounts_make_tmp();
}
