/*
 * cgroup_find: where the cgroup2 hierarchy is mounted, and where in it we are.
 * Source: cgroups(7), proc(5).
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PLATFORM_CGROUP_FIND_H
#define PLATFORM_CGROUP_FIND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The path at which the cgroup OWN, as /proc/PID/cgroup names it, is seen by the
 * mount of LINE, one of mountinfo, which is cut up. Returns true with it in PATH (SIZE
 * bytes); false where that is not a cgroup2 mount, or OWN does not lie below it. */
bool cgroup_find_path(char *line, const char *own, char *path, size_t size);

/* Opens the root of the cgroup2 hierarchy, wherever /proc/self/mountinfo says that
 * it is mounted. Returns 0 with a close-on-exec directory descriptor in *RET_FD,
 * -ENOENT where there is none, or -errno. */
int cgroup_find_root(int *ret_fd);

/* Opens the cgroup that was delegated to this process: its own, or where that is
 * called LEAF the one above, into whose leaf our manager, or our predecessor, has
 * put us. A delegated cgroup has the extended attribute user.delegate or
 * trusted.delegate with the value 1, by which systemd marks it (its document "Control
 * Group APIs and Delegation"); any other cgroup is left alone. Returns 0 with
 * a close-on-exec directory descriptor in *RET_FD, -EPERM where we have none,
 * -ENOENT where there is no cgroup2, or its mount does not show our part of it, or
 * -errno. */
int cgroup_find_delegated(const char *leaf, int *ret_fd);

/* The smallest memory.max of the cgroup that this process is in, and of those above it, in
 * bytes; UINT64_MAX where there is no limit, or it can't be seen. */
uint64_t cgroup_find_memory_max(void);

#endif
