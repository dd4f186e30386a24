/*
 * boot_cgroups: the two halves of the guest: "agent" for the agent itself, which
 * memory.min protects, and "sessions" for all programs, which can't take every pid.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef BOOT_CGROUPS_H
#define BOOT_CGROUPS_H

/* boot_cgroups() of step.h makes both at the root of the hierarchy, moves this process
 * into the first, and hands the controllers down. This is the same for a service, in the cgroup
 * that was delegated to it (cgroup_find.h), with the controllers that are there. What a run before
 * left in it is killed and removed. Where nothing was delegated nothing is done, and no cgroup
 * touched. */
void boot_cgroups_as_service(void);

/* The directory of the sessions' cgroups, for the agent's life; -1: none. */
int boot_cgroups_sessions_fd(void);

#endif
