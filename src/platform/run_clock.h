/*
 * run_clock: the time that the guest ran, for limits that a stopped guest must not use up.
 *
 * CLOCK_MONOTONIC of a guest that was restored from a snapshot may jump by days, as some
 * monitors have it. A jump shows in a wait: it was to end at a time, and comes back far
 * behind that. What lies beyond the time does not count. So that little of a wait counts
 * as run, long ones are cut; a machine that wakes us late because it is loaded is no
 * reason to stop the clock.
 *
 * Pure: each process has its own, and says what CLOCK_MONOTONIC shows.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PLATFORM_RUN_CLOCK_H
#define PLATFORM_RUN_CLOCK_H

#include <stdint.h>

/* Coming back late by no more than this is time that passed. */
#define RUN_CLOCK_LATE_MS 2000

/* A wait is at most an eighth of the time that is left, within these bounds: as much is
 * what a jump can take from a limit. */
#define RUN_CLOCK_WAIT_PART 8
#define RUN_CLOCK_WAIT_MIN_MS 1000
#define RUN_CLOCK_WAIT_MAX_MS 60000

struct run_clock {
	uint64_t jumped_ms; /* what CLOCK_MONOTONIC has counted and the guest has not run */
	uint64_t due_ms;    /* CLOCK_MONOTONIC: the next look is to come by then */
};

/* Begins, with what CLOCK_MONOTONIC shows. */
static inline void
run_clock_init(struct run_clock *clock, uint64_t now_ms)
{
	*clock = (struct run_clock){ .due_ms = now_ms };
}

/* It shows RAN_MS, which it has shown before, where CLOCK_MONOTONIC shows NOW_MS: what lies
 * between does not count. */
static inline void
run_clock_set(struct run_clock *clock, uint64_t now_ms, uint64_t ran_ms)
{
	*clock = (struct run_clock){ .jumped_ms = now_ms - ran_ms, .due_ms = now_ms };
}

/* The time of this clock, in ms, where CLOCK_MONOTONIC shows NOW_MS. To be called after
 * each wait. */
uint64_t run_clock_look(struct run_clock *clock, uint64_t now_ms);

/* A wait begins right after a look. Returns when it is to end, as of CLOCK_MONOTONIC, so
 * that DEADLINE_MS, a time of this clock, is met; CLOCK_NEVER for CLOCK_NEVER. It may end
 * sooner. */
uint64_t run_clock_plan(struct run_clock *clock, uint64_t deadline_ms);

#endif
