/*
 * begin: the signals, the scoreboard, and how many workers there are to be.
 *
 * SPDX-License-Identifier: MIT
 */
#include "supervisor/begin.h"

#include <signal.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "platform/clock.h"
#include "platform/log.h"

static struct log_limit supervisor_board_limit = { .burst = 1, .period_ms = 60000 };

uint32_t
supervisor_default_workers(uint64_t memory_bytes, uint32_t reserved)
{
	uint64_t workers = memory_bytes / SUPERVISOR_BYTES_PER_PLACE;

	if (workers < SUPERVISOR_PLACES_MIN)
		workers = SUPERVISOR_PLACES_MIN;
	if (workers > SUPERVISOR_PLACES_MAX)
		workers = SUPERVISOR_PLACES_MAX;
	workers += reserved;
	return workers < SCOREBOARD_WORKERS_MAX ? (uint32_t)workers : SCOREBOARD_WORKERS_MAX;
}

uint32_t
supervisor_clamp_reserved(uint32_t wanted, uint32_t workers)
{
	return wanted < workers ? wanted : workers - 1;
}

static uint32_t
supervisor_count_workers(const struct supervisor_settings *settings)
{
	struct sysinfo info = { 0 };

	if (settings->workers > 0)
		return settings->workers;
	/* If it fails, the guest is taken for a small one. */
	(void)sysinfo(&info);
	return supervisor_default_workers(
	    (uint64_t)info.totalram * info.mem_unit, settings->reserved);
}

void
supervisor_block_signals(void)
{
	sigset_t all;

	(void)sigfillset(&all);
	(void)sigprocmask(SIG_SETMASK, &all, NULL);
}

void
supervisor_take_signals(struct supervisor *supervisor)
{
	supervisor_block_signals();
	(void)sigemptyset(&supervisor->signals);
	(void)sigaddset(&supervisor->signals, SIGHUP);
	(void)sigaddset(&supervisor->signals, SIGUSR1);
	(void)sigaddset(&supervisor->signals, SIGCHLD);
	for (int i = 0; i < SHUTDOWN_SIGNALS; i++) {
		if (supervisor->settings->is_init || !shutdown_signals[i].is_for_init)
			(void)sigaddset(&supervisor->signals, shutdown_signals[i].number);
	}
	supervisor->signal_fd = -1;
}

/* If PID 1 exits, the guest ends: it makes do with fewer workers, and waits until there is
 * memory for one. */
void
supervisor_make_board(struct supervisor *supervisor)
{
	const struct supervisor_settings *settings = supervisor->settings;
	uint32_t workers = supervisor_count_workers(settings);
	int r;

	for (;;) {
		r = scoreboard_new(workers, supervisor_clamp_reserved(settings->reserved, workers),
		    &supervisor->board);
		if (r == 0)
			break;
		if (!settings->is_init)
			fatal_error(r, "no memory for %u workers", workers);
		log_limited(
		    &supervisor_board_limit, "no memory for %u workers; trying again", workers);
		workers = workers > 1 ? workers / 2 : 1;
		clock_sleep_ms(SUPERVISOR_AGAIN_MS);
	}
	supervisor->board->supervisor_pid = getpid();
	supervisor->board->started_ms = settings->started_us / 1000;
}
