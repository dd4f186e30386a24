/*
 * doomed: cgroups that the supervisor kills. One write to cgroup.kill can miss a
 * child that is being forked, so each is killed again until nobody is left in it.
 */
#ifndef SUPERVISOR_DOOMED_H
#define SUPERVISOR_DOOMED_H

#include <stdint.h>

/* So many at a time; one more is killed only once. */
#define DOOMED_MAX 32

/* Between two kills, and from the first until it is given up. */
#define DOOMED_AGAIN_MS 10
#define DOOMED_MAX_MS 2000

struct doomed {
	struct {
		int fd; /* of the cgroup, owned */
		uint64_t until_ms;
	} cells[DOOMED_MAX];
	int count;
	uint64_t next_ms; /* of the next kill, if COUNT is not 0 */
};

/* Kills all in the cgroup CELL_FD, and takes the descriptor. NOW_MS as of
 * clock_mono_ms(). Returns 0, or -errno of the kill. */
int doomed_add(struct doomed *doomed, int cell_fd, uint64_t now_ms);

/* Kills again what is due. Returns when there is more to do (CLOCK_MONOTONIC ms), or
 * CLOCK_NEVER. */
uint64_t doomed_step(struct doomed *doomed, uint64_t now_ms);

#endif
