/*
 * cgroup_reaper: cgroups that the supervisor kills. One write to cgroup.kill can miss a
 * child that is being forked, so each is killed again until nobody is left in it.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SUPERVISOR_CGROUP_REAPER_H
#define SUPERVISOR_CGROUP_REAPER_H

#include <stdint.h>

/* It keeps this many at a time; a cgroup beyond them is killed once only. */
#define CGROUP_REAPER_MAX 32

/* The time between two kills, and from the first kill until the cgroup is given up. */
#define CGROUP_REAPER_AGAIN_MS 10
#define CGROUP_REAPER_MAX_MS 2000

struct cgroup_reaper {
	struct {
		int fd; /* of the cgroup, owned */
		uint64_t until_ms;
	} cgroups[CGROUP_REAPER_MAX];
	int count;
	uint64_t next_ms; /* of the next kill, if COUNT is not 0 */
};

/* Kills every process in the cgroup CGROUP_FD, and takes the descriptor. NOW_MS as of
 * clock_mono_ms(). Returns 0, or -errno of the kill. */
int cgroup_reaper_add(struct cgroup_reaper *reaper, int cgroup_fd, uint64_t now_ms);

/* Repeats the kills that are due. Returns when there is more to do (CLOCK_MONOTONIC ms), or
 * CLOCK_NEVER. */
uint64_t cgroup_reaper_step(struct cgroup_reaper *reaper, uint64_t now_ms);

#endif
