/*
 * freeze: what stands still until it is told to go on: a file system, and all processes of
 * a cgroup.
 *
 * A file system has no owner of its freeze, and does not count: whoever has a descriptor
 * and CAP_SYS_ADMIN may thaw what another has frozen. All calls on file systems may take as
 * long as the disk needs, and no signal ends them.
 *
 * Sources: ioctl_fsfreeze() in the kernel's fs/ioctl.c, syncfs(2), cgroup.freeze in its
 * Documentation/admin-guide/cgroup-v2.rst.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PLATFORM_FREEZE_H
#define PLATFORM_FREEZE_H

#include <stdbool.h>
#include <stdint.h>

/* Freezes the file system that FD lies on: what was written is on its device, and whoever
 * writes waits (FIFREEZE). Returns 0; -EBUSY where it is frozen already, by whomever;
 * -EOPNOTSUPP where its kind can't be; or -errno. */
int freeze_files(int fd);

/* Ends that (FITHAW). Returns 0, also where it was not frozen; or -errno: it may be
 * frozen still. */
int freeze_thaw_files(int fd);

/* Writes to the device what was written to the file system that FD lies on. Returns 0 or
 * -errno. */
int freeze_sync(int fd);

/* Has all processes in the cgroup and below it stop, or go on, and does not wait for that.
 * Returns 0, -ENOENT before Linux 5.2, or -errno. */
int freeze_cgroup(int cgroup_fd, bool is_frozen);

/* Waits until all below the cgroup have stopped, by its word and as cgroup_stands_still() sees it,
 * or go on. A process that is in
 * the kernel, waiting for a device, does not stop before it comes back. Returns 0;
 * -ETIMEDOUT when CLOCK_MONOTONIC is at DEADLINE_MS; -EINTR when WAKE_FD (-1: none) can be
 * read from; or -errno. */
int freeze_await_cgroup(int cgroup_fd, bool is_frozen, int wake_fd, uint64_t deadline_ms);

#endif
