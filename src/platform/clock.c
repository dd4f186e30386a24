/*
 * clock: the time that only goes forward, and the wall clock.
 *
 * SPDX-License-Identifier: MIT
 */
#include "platform/clock.h"

#include <limits.h>
#include <stddef.h>
#include <time.h>

#include "platform/io_result.h"

#define NS_PER_US 1000
#define NS_PER_MS 1000000
#define MS_PER_S 1000
#define US_PER_S 1000000

static uint64_t clock_skipped_ms;

uint64_t
clock_mono_ms(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * MS_PER_S + (uint64_t)now.tv_nsec / NS_PER_MS -
	       clock_skipped_ms;
}

uint64_t
clock_shared_ms(void)
{
	return clock_mono_ms() + clock_skipped_ms;
}

void
clock_skip(uint64_t ms)
{
	clock_skipped_ms += ms;
}

void
clock_unskip(void)
{
	clock_skipped_ms = 0;
}

uint64_t
clock_mono_us(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * US_PER_S + (uint64_t)now.tv_nsec / NS_PER_US;
}

int64_t
clock_wall_ms(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * MS_PER_S + (int64_t)now.tv_nsec / NS_PER_MS;
}

int
clock_set_wall(int64_t seconds, uint32_t nanoseconds)
{
	struct timespec wall = { .tv_sec = seconds, .tv_nsec = (long)nanoseconds };

	return io_result(clock_settime(CLOCK_REALTIME, &wall));
}

void
clock_sleep_ms(uint32_t ms)
{
	const struct timespec pause = {
		.tv_sec = ms / MS_PER_S,
		.tv_nsec = (long)(ms % MS_PER_S) * NS_PER_MS,
	};

	(void)nanosleep(&pause, NULL);
}

int
clock_poll_timeout(uint64_t now_ms, uint64_t deadline_ms)
{
	if (deadline_ms == CLOCK_NEVER)
		return -1;
	if (deadline_ms <= now_ms)
		return 0;
	if (deadline_ms - now_ms > INT_MAX)
		return INT_MAX;
	return (int)(deadline_ms - now_ms);
}

const struct timespec *
clock_left(uint64_t deadline_ms, struct timespec *room)
{
	uint64_t now;
	uint64_t ms;

	if (deadline_ms == CLOCK_NEVER)
		return NULL;
	now = clock_mono_ms();
	ms = deadline_ms > now ? deadline_ms - now : 0;
	room->tv_sec = (time_t)(ms / MS_PER_S);
	room->tv_nsec = (long)(ms % MS_PER_S) * NS_PER_MS;
	return room;
}
