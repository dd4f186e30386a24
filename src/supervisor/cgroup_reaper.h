/*
 * reaper: cgroups that the supervisor kills. One write to cgroup.kill can miss a
 * child that is being forked, so each is killed again until nobody is left in it.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SUPERVISOR_CGROUP_REAPER_H
#define SUPERVISOR_CGROUP_REAPER_H

#include <stdint.h>

/* So many at a time; one more is killed only once. */
#define CGROUP_REAPER_MAX 32

/* Between two kills, and from the first until it is given up. */
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

/* Kills all in the cgroup SESSION_CGROUP_FD, and takes the descriptor. NOW_MS as of
 * clock_mono_ms(). Returns 0, or -errno of the kill. */
int cgroup_reaper_add(struct cgroup_reaper *reaper, int cgroup_fd, uint64_t now_ms);

/* Kills again what is due. Returns when there is more to do (CLOCK_MONOTONIC ms), or
 * CLOCK_NEVER. */
uint64_t cgroup_reaper_step(struct cgroup_reaper *reaper, uint64_t now_ms);

#endif
