/*
 * SPDX-License-Identifier: MIT
 */
#include "platform/watchdog.h"

#include <errno.h>
#include <sys/timerfd.h>
#include <time.h>

#include "platform/clock.h"
#include "platform/io_result.h"

#define WATCHDOG_MS_PER_S 1000
#define WATCHDOG_NS_PER_MS 1000000

static int watchdog_fd = -1;
static uint32_t watchdog_timeout_ms; /* 0: called off */
static uint64_t watchdog_started_ms;

int
watchdog_open(void)
{
	return io_result(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
}

void
watchdog_init(int fd)
{
	watchdog_fd = fd;
}

void
watchdog_set_other(int fd, uint32_t timeout_ms)
{
	struct itimerspec when = {
		.it_value = { .tv_sec = timeout_ms / WATCHDOG_MS_PER_S,
		    .tv_nsec = (long)(timeout_ms % WATCHDOG_MS_PER_S) * WATCHDOG_NS_PER_MS },
	};

	(void)timerfd_settime(fd, 0, &when, NULL);
}

static void
watchdog_start(uint32_t timeout_ms)
{
	if (watchdog_fd >= 0)
		watchdog_set_other(watchdog_fd, timeout_ms);
	watchdog_started_ms = clock_mono_ms();
}

void
watchdog_set(uint32_t timeout_ms)
{
	if (timeout_ms == watchdog_timeout_ms) {
		watchdog_ping();
		return;
	}
	watchdog_timeout_ms = timeout_ms;
	watchdog_start(timeout_ms);
}

void
watchdog_ping(void)
{
	if (watchdog_timeout_ms > 0 &&
	    clock_mono_ms() - watchdog_started_ms >= watchdog_timeout_ms / WATCHDOG_PINGS)
		watchdog_start(watchdog_timeout_ms);
}

void
watchdog_pause(void)
{
	if (watchdog_timeout_ms > 0)
		watchdog_start(0);
}

void
watchdog_resume(void)
{
	int error = errno;

	if (watchdog_timeout_ms > 0)
		watchdog_start(watchdog_timeout_ms);
	errno = error;
}
