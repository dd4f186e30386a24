/*
 * pool: the workers: forked, buried, replaced. It believes wait(2) alone; of the
 * scoreboard it takes only what it can check.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SUPERVISOR_POOL_H
#define SUPERVISOR_POOL_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "shared/scoreboard.h"
#include "supervisor/restart.h"
#include "supervisor/cgroup_reaper.h"
#include "supervisor/watchdogs.h"
#include "worker/worker.h"

struct pool_worker {
	pid_t pid;    /* 0: none, to be forked at START_AT_MS */
	int queue_fd; /* reading end of its queue of duplicates */
	uint64_t start_at_ms;
	uint64_t cut_session; /* see cut.h */
	bool is_stale;	      /* to be replaced, as SIGHUP asked */
	struct restart restart;
};

struct pool {
	struct scoreboard *board;
	struct pool_worker *workers;
	uint32_t count;
	bool is_closing;  /* workers that leave are not replaced */
	bool is_awaiting; /* worker AWAITED, which was AWAITED_PID, is being replaced */
	uint32_t awaited;
	pid_t awaited_pid;
	pid_t switch_pid; /* of the switch (quiesce.h); 0: there is none */
	struct watchdogs watchdogs;
	struct worker_options options; /* of every worker, but for the index */
	struct cgroup_reaper reaper;   /* what lost sessions had started */
};

/* Prepares a pool of one worker for each slot of BOARD; none is forked yet. SETTINGS and
 * LISTENERS are borrowed for the pool's life. Returns 0 or -errno. */
int pool_init(struct pool *pool, const struct worker_settings *settings, struct scoreboard *board,
    const struct worker_listener *listeners, int listeners_count);

/* A signal has stopped our child PID. A worker is continued, and so is the switch: a session
 * of root's can stop them, but must not stop the agent. */
void pool_wake(const struct pool *pool, pid_t pid);

/* Forks the workers that are due, at most MAX. A fork that fails is tried again.
 * Returns when the next is due (CLOCK_MONOTONIC ms; NOW_MS where there are more than
 * MAX), or CLOCK_NEVER. */
uint64_t pool_fork_due(struct pool *pool, uint64_t now_ms, uint32_t max);

/* The child of INFO, as of waitid(2), has ended and is still a zombie. If it is a worker,
 * kills what its session had started, tells the host, and schedules the next worker. If
 * it was the main process of a lost session, kills its process group. The caller reaps. */
void pool_bury(struct pool *pool, const siginfo_t *info);

/* Kills every process in the cgroup CGROUP_FD, and takes the descriptor. Returns 0, or
 * -errno of that kill. pool_kill_again() kills again until nobody is left; it returns
 * when it is to be called next (CLOCK_MONOTONIC ms), or CLOCK_NEVER. */
int pool_kill_cgroup(struct pool *pool, int cgroup_fd);
uint64_t pool_kill_again(struct pool *pool, uint64_t now_ms);

/* Kills the workers whose watchdog has expired, and gives up those that do not die of it.
 * To be called when the watchdogs' descriptor is readable, and at the time that it
 * returns (CLOCK_MONOTONIC ms, or CLOCK_NEVER): NOW_MS if a worker is to be forked. */
uint64_t pool_watch(struct pool *pool, uint64_t now_ms);

/* Sends SIGNAL to all workers. */
void pool_signal(const struct pool *pool, int signal);

/* Asks for all workers to be replaced, which pool_replace_step() then does one by
 * one: an idle one must have a successor before the next leaves; a busy one
 * leaves after its session. The step is to be called whenever a worker has left
 * and pool_fork_due() has run; it does nothing where nothing was asked. */
void pool_replace_all(struct pool *pool);
void pool_replace_step(struct pool *pool);

/* No worker is forked any more. */
void pool_close(struct pool *pool);

/* Whether PID is a worker, or one that was given up and is still there, or the switch. */
bool pool_owns(const struct pool *pool, pid_t pid);

/* How many workers there are. */
uint32_t pool_count(const struct pool *pool);

#endif
