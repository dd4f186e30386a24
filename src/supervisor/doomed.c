/*
 * doomed: cgroups that the supervisor kills.
 */
#include "supervisor/doomed.h"

#include "platform/cgroup.h"
#include "platform/clock.h"
#include "platform/fd.h"

int
doomed_add(struct doomed *doomed, int cell_fd, uint64_t now_ms)
{
	int r = cgroup_kill(cell_fd);

	if (r < 0 || doomed->count == DOOMED_MAX || !cgroup_is_populated(cell_fd)) {
		fd_close(&cell_fd);
		return r;
	}
	if (doomed->count == 0)
		doomed->next_ms = now_ms + DOOMED_AGAIN_MS;
	doomed->cells[doomed->count].fd = cell_fd;
	doomed->cells[doomed->count].until_ms = now_ms + DOOMED_MAX_MS;
	doomed->count++;
	return 0;
}

uint64_t
doomed_step(struct doomed *doomed, uint64_t now_ms)
{
	if (doomed->count == 0)
		return CLOCK_NEVER;
	if (now_ms < doomed->next_ms)
		return doomed->next_ms;
	for (int i = doomed->count - 1; i >= 0; i--) {
		if (now_ms < doomed->cells[i].until_ms &&
		    cgroup_is_populated(doomed->cells[i].fd)) {
			(void)cgroup_kill(doomed->cells[i].fd);
			continue;
		}
		fd_close(&doomed->cells[i].fd);
		doomed->cells[i] = doomed->cells[--doomed->count];
	}
	doomed->next_ms = now_ms + DOOMED_AGAIN_MS;
	return doomed->count > 0 ? doomed->next_ms : CLOCK_NEVER;
}
