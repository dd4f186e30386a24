/*
 * SPDX-License-Identifier: MIT
 */
#include "shared/host_clock.h"

#include <stdatomic.h>
#include <string.h>

#include "platform/clock.h"
#include "platform/log.h"
#include "platform/ptp.h"

#define HOST_CLOCK_NS_PER_S 1000000000
#define HOST_CLOCK_NS_PER_MS 1000000

/* A clock that can't be set would be tried with each connection. */
static struct log_limit host_clock_limit = { .burst = 1, .period_ms = 60000 };

static int host_clock_ptp_fd = -1;

static struct host_clock_found {
	bool was_off;
	int64_t by_ms;
	int error;
} host_clock_found;

void
host_clock_init(void)
{
	(void)ptp_open(&host_clock_ptp_fd);
}

bool
host_clock_is_off(int64_t one_ns, int64_t other_ns)
{
	int64_t difference;

	if (__builtin_sub_overflow(one_ns, other_ns, &difference))
		return true;
	return difference > HOST_CLOCK_SLACK_NS || difference < -HOST_CLOCK_SLACK_NS;
}

void
host_clock_look(const struct scoreboard *board)
{
	int64_t now_ns = clock_wall_ms() * HOST_CLOCK_NS_PER_MS;
	int64_t host_ns;

	host_clock_found = (struct host_clock_found){ .was_off = false };
	if (host_clock_ptp_fd < 0 || atomic_load(&board->host_time_is_told) ||
	    ptp_read(host_clock_ptp_fd, &host_ns) < 0 || !host_clock_is_off(host_ns, now_ns))
		return;
	host_clock_found.was_off = true;
	host_clock_found.by_ms = (host_ns - now_ns) / HOST_CLOCK_NS_PER_MS;
	host_clock_found.error = clock_set_wall(
	    host_ns / HOST_CLOCK_NS_PER_S, (uint32_t)(host_ns % HOST_CLOCK_NS_PER_S));
}

void
host_clock_log(void)
{
	if (!host_clock_found.was_off)
		return;
	if (host_clock_found.error < 0)
		log_limited(&host_clock_limit, "can't set the clock: %s",
		    strerror(-host_clock_found.error));
	else
		log_info("the clock was stepped by %lld ms, to the host's",
		    (long long)host_clock_found.by_ms);
	host_clock_found.was_off = false;
}

int
host_clock_set(struct scoreboard *board, int64_t seconds, uint32_t nanoseconds)
{
	int r = clock_set_wall(seconds, nanoseconds);
	int64_t told_ns;
	int64_t host_ns;

	if (r < 0)
		return r;
	(void)atomic_fetch_add(&board->counts.clock_syncs, 1);
	if (host_clock_ptp_fd < 0 || ptp_read(host_clock_ptp_fd, &host_ns) < 0)
		return 0;
	if (__builtin_mul_overflow(seconds, HOST_CLOCK_NS_PER_S, &told_ns) ||
	    host_clock_is_off(told_ns + nanoseconds, host_ns))
		atomic_store(&board->host_time_is_told, 1);
	return 0;
}
