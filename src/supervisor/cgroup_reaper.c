/*
 * SPDX-License-Identifier: MIT
 */
#include "supervisor/cgroup_reaper.h"

#include "platform/cgroup.h"
#include "platform/clock.h"
#include "platform/fd.h"

int
cgroup_reaper_add(struct cgroup_reaper *reaper, int cgroup_fd, uint64_t now_ms)
{
	int r = cgroup_kill(cgroup_fd);

	if (r < 0 || reaper->count == CGROUP_REAPER_MAX || !cgroup_is_populated(cgroup_fd)) {
		fd_close(&cgroup_fd);
		return r;
	}
	if (reaper->count == 0)
		reaper->next_ms = now_ms + CGROUP_REAPER_AGAIN_MS;
	reaper->cgroups[reaper->count].fd = cgroup_fd;
	reaper->cgroups[reaper->count].until_ms = now_ms + CGROUP_REAPER_MAX_MS;
	reaper->count++;
	return 0;
}

uint64_t
cgroup_reaper_step(struct cgroup_reaper *reaper, uint64_t now_ms)
{
	if (reaper->count == 0)
		return CLOCK_NEVER;
	if (now_ms < reaper->next_ms)
		return reaper->next_ms;
	for (int i = reaper->count - 1; i >= 0; i--) {
		if (now_ms < reaper->cgroups[i].until_ms &&
		    cgroup_is_populated(reaper->cgroups[i].fd)) {
			(void)cgroup_kill(reaper->cgroups[i].fd);
			continue;
		}
		fd_close(&reaper->cgroups[i].fd);
		reaper->cgroups[i] = reaper->cgroups[--reaper->count];
	}
	reaper->next_ms = now_ms + CGROUP_REAPER_AGAIN_MS;
	return reaper->count > 0 ? reaper->next_ms : CLOCK_NEVER;
}
