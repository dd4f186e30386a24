/*
 * watchdogs: the supervisor's side of the workers' watchdogs (platform/watchdog.h). A
 * worker whose watchdog expires is killed. One that does not die of that, as it is stuck
 * in the kernel, is given up and replaced: it will never run in user space again, but
 * nobody knows when it will be gone. At most half of the workers can be given up at a
 * time, or a guest could fill itself with them; any beyond that keep their slots.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SUPERVISOR_WATCHDOGS_H
#define SUPERVISOR_WATCHDOGS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* How long a killed worker may take to die. */
#define WATCHDOGS_DEATH_MS 2000

/* What a worker is given, from when on its watchdog is due, that stood still. */
#define WATCHDOGS_RENEW_MS 10000

/* Whether to spare worker INDEX, whose watchdog has expired: because it was given more
 * time (TIMER_FD, watchdog_set_other()), or because the time means nothing any more. */
typedef bool watchdogs_spare_fn(void *context, uint32_t index, int timer_fd);

struct watchdogs_entry {
	int timer_fd; /* -1: none */
	pid_t pid;
	uint64_t give_up_ms; /* 0: it was not killed */
};

struct watchdogs {
	int wait_fd; /* readable when a time has passed */
	uint32_t count;
	uint64_t renew_until_ms; /* nobody is killed before that */
	struct watchdogs_entry *entries;
	watchdogs_spare_fn *spare; /* NULL: none is spared */
	void *spare_context;
	uint32_t lost_count;
	uint32_t lost_max;
	pid_t *lost; /* workers that were given up and are still there */
};

/* For COUNT workers, for the life of this process. Returns 0 or -errno. */
int watchdogs_init(struct watchdogs *watchdogs, uint32_t count);

/* Makes the watchdog of worker INDEX, which is about to be forked. Returns 0 with *RET_FD
 * for watchdog_init() in the worker, which the caller closes here; or -errno. */
int watchdogs_open(struct watchdogs *watchdogs, uint32_t index, int *ret_fd);

/* Worker INDEX has become process PID; or there is no such worker any more. */
void watchdogs_start(struct watchdogs *watchdogs, uint32_t index, pid_t pid);
void watchdogs_close(struct watchdogs *watchdogs, uint32_t index);

/* Kills the workers whose watchdog has expired. Returns true with *RET_INDEX where a worker
 * is given up: call watchdogs_close() for it, and this again. NOW_MS as of clock_mono_ms(). */
bool watchdogs_step(struct watchdogs *watchdogs, uint64_t now_ms, uint32_t *ret_index);

/* All workers have stood still until NOW_MS, and nobody has looked at their watchdogs: the
 * times of all stand again. */
void watchdogs_renew(struct watchdogs *watchdogs, uint64_t now_ms);

/* Whether worker INDEX was killed because its watchdog had expired. */
bool watchdogs_has_killed(const struct watchdogs *watchdogs, uint32_t index);

/* When to call watchdogs_step() again at the latest (CLOCK_MONOTONIC ms), or CLOCK_NEVER. */
uint64_t watchdogs_next_ms(const struct watchdogs *watchdogs);

/* Whether PID is a worker that was given up; and what to call when it has gone at last. */
bool watchdogs_has_lost(const struct watchdogs *watchdogs, pid_t pid);
void watchdogs_forget(struct watchdogs *watchdogs, pid_t pid);

#endif
