/*
 * watchdog: a timer of the kernel's that kills this process.
 */
#include "platform/watchdog.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <time.h>

#define WATCHDOG_MS_PER_S 1000
#define WATCHDOG_NS_PER_MS 1000000

static timer_t watchdog_timer;
static bool watchdog_is_there;

int
watchdog_init(void)
{
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGKILL };

	watchdog_is_there = timer_create(CLOCK_MONOTONIC, &event, &watchdog_timer) == 0;
	return watchdog_is_there ? 0 : -errno;
}

void
watchdog_set(uint32_t timeout_ms)
{
	struct itimerspec when = {
		.it_value = { .tv_sec = timeout_ms / WATCHDOG_MS_PER_S,
		    .tv_nsec = (long)(timeout_ms % WATCHDOG_MS_PER_S) * WATCHDOG_NS_PER_MS },
	};

	if (watchdog_is_there)
		(void)timer_settime(watchdog_timer, 0, &when, NULL);
}
