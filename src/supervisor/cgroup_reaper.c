/*
 * reaper: cgroups that the supervisor kills.
 */
#include "supervisor/cgroup_reaper.h"

#include "platform/cgroup.h"
#include "platform/clock.h"
#include "platform/fd.h"

int
cgroup_reaper_add(struct cgroup_reaper *reaper, int cell_fd, uint64_t now_ms)
{
	int r = cgroup_kill(cell_fd);

	if (r < 0 || reaper->count == CGROUP_REAPER_MAX || !cgroup_is_populated(cell_fd)) {
		fd_close(&cell_fd);
		return r;
	}
	if (reaper->count == 0)
		reaper->next_ms = now_ms + CGROUP_REAPER_AGAIN_MS;
	reaper->cells[reaper->count].fd = cell_fd;
	reaper->cells[reaper->count].until_ms = now_ms + CGROUP_REAPER_MAX_MS;
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
		if (now_ms < reaper->cells[i].until_ms &&
		    cgroup_is_populated(reaper->cells[i].fd)) {
			(void)cgroup_kill(reaper->cells[i].fd);
			continue;
		}
		fd_close(&reaper->cells[i].fd);
		reaper->cells[i] = reaper->cells[--reaper->count];
	}
	reaper->next_ms = now_ms + CGROUP_REAPER_AGAIN_MS;
	return reaper->count > 0 ? reaper->next_ms : CLOCK_NEVER;
}
