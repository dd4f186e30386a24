/*
 * chaos: what happens to the workers meanwhile.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SOAK_CHAOS_H
#define SOAK_CHAOS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "host.h"

/* Deaths whose workers are remembered. */
#define CHAOS_KILLS_MAX 65536

struct chaos {
	const struct host *host;
	uint64_t random;
	_Atomic bool is_over;
	unsigned kills; /* SIGKILL and SIGSEGV that found a worker, perhaps one that was leaving */
	unsigned stops; /* SIGSTOP, each followed by SIGCONT */
	unsigned hups;	/* to the supervisor */
	pid_t victims[HOST_WORKERS_MAX];	/* whose successor is not seen yet; or 0 */
	uint64_t replaced_ms[HOST_WORKERS_MAX]; /* when that was seen */
	pid_t killed[CHAOS_KILLS_MAX];
	pid_t stopped[HOST_WORKERS_MAX];
	uint64_t stopped_until_ms[HOST_WORKERS_MAX];
};

/* Serves as a thread's function, until is_over. Takes a struct chaos. */
void *chaos_run(void *chaos);

#endif
