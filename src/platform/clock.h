/*
 * clock: the time that only goes forward, for every duration; and the wall
 * clock, which the host sets.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PLATFORM_CLOCK_H
#define PLATFORM_CLOCK_H

#include <stdint.h>
#include <time.h>

/* No deadline, as an absolute time in ms. */
#define CLOCK_NEVER UINT64_MAX

/* The sooner of two times. */
static inline uint64_t
clock_sooner(uint64_t one_ms, uint64_t other_ms)
{
	return one_ms < other_ms ? one_ms : other_ms;
}

/* How long it is until then; 0 where that is over. */
static inline uint64_t
clock_until(uint64_t until_ms, uint64_t now_ms)
{
	return until_ms > now_ms ? until_ms - now_ms : 0;
}

/* CLOCK_MONOTONIC in milliseconds, without what this process has skipped: for deadlines. In
 * microseconds it has all. See clock_gettime(2). */
uint64_t clock_mono_ms(void);
uint64_t clock_mono_us(void);

/* The last MS milliseconds do not count: clock_mono_ms() stands as much further back, and what
 * was to be due is due that much later. And: it shows all of the time again. */
void clock_skip(uint64_t ms);
void clock_unskip(void);

/* CLOCK_MONOTONIC in milliseconds, all of it: for what other processes read. */
uint64_t clock_shared_ms(void);

/* CLOCK_REALTIME in milliseconds since 1970. */
int64_t clock_wall_ms(void);

/* Steps CLOCK_REALTIME to SECONDS and NANOSECONDS since 1970. Returns 0 or
 * -errno of clock_settime(2): -EINVAL for nanoseconds of a second or more. */
int clock_set_wall(int64_t seconds, uint32_t nanoseconds);

/* Sleeps for MS milliseconds; less if a signal is handled meanwhile. */
void clock_sleep_ms(uint32_t ms);

/* Milliseconds from NOW_MS to DEADLINE_MS as poll(2) takes them: 0 if it has
 * passed, -1 for CLOCK_NEVER. */
int clock_poll_timeout(uint64_t now_ms, uint64_t deadline_ms);

/* The same from now on, as ppoll(2) takes it: ROOM, filled in; NULL for CLOCK_NEVER. */
const struct timespec *clock_left(uint64_t deadline_ms, struct timespec *room);

#endif
