/*
 * SPDX-License-Identifier: MIT
 */
#include "platform/hold_timer.h"

#include <stddef.h>
#include <sys/timerfd.h>
#include <time.h>

#include "platform/io_result.h"

#define HOLD_TIMER_MS_PER_S 1000
#define HOLD_TIMER_NS_PER_MS 1000000

bool
hold_timer_is_over(struct hold_timer *timer, uint64_t now_ms, bool has_waited)
{
	if (now_ms < timer->due_ms)
		return false;
	if (!has_waited || !timer->waits_for_restore ||
	    now_ms - timer->due_ms <= HOLD_TIMER_JUMP_MS)
		return true;
	timer->waits_for_restore = false;
	timer->has_jumped = true;
	timer->due_ms = now_ms + HOLD_TIMER_GRANT_MS;
	return false;
}

uint64_t
hold_timer_now_ms(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_BOOTTIME, &now);
	return (uint64_t)now.tv_sec * HOLD_TIMER_MS_PER_S +
	       (uint64_t)now.tv_nsec / HOLD_TIMER_NS_PER_MS;
}

int
hold_timer_open(void)
{
	return io_result(timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK));
}

void
hold_timer_set(int fd, uint64_t due_ms)
{
	struct itimerspec when = {
		.it_value = { .tv_sec = (time_t)(due_ms / HOLD_TIMER_MS_PER_S),
		    .tv_nsec = (long)(due_ms % HOLD_TIMER_MS_PER_S) * HOLD_TIMER_NS_PER_MS },
	};

	(void)timerfd_settime(fd, TFD_TIMER_ABSTIME, &when, NULL);
}
