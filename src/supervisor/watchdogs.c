/*
 * SPDX-License-Identifier: MIT
 */
#include "supervisor/watchdogs.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "platform/clock.h"
#include "platform/fd.h"
#include "platform/watchdog.h"
#include "supervisor/own_fd.h"

int
watchdogs_init(struct watchdogs *watchdogs, uint32_t count)
{
	int CLEANUP_FD wait_fd = epoll_create1(EPOLL_CLOEXEC);

	*watchdogs = (struct watchdogs){
		.wait_fd = -1,
		.count = count,
		.lost_max = (count + 1) / 2,
	};
	if (wait_fd < 0)
		return -errno;
	watchdogs->entries = calloc(count, sizeof(*watchdogs->entries));
	watchdogs->lost = calloc(watchdogs->lost_max, sizeof(*watchdogs->lost));
	if (watchdogs->entries == NULL || watchdogs->lost == NULL) {
		free(watchdogs->entries);
		free(watchdogs->lost);
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < count; i++)
		watchdogs->entries[i].timer_fd = -1;
	watchdogs->wait_fd = own_fd_hide(fd_steal(&wait_fd));
	return 0;
}

int
watchdogs_open(struct watchdogs *watchdogs, uint32_t index, int *ret_fd)
{
	struct epoll_event event = { .events = EPOLLIN, .data.u32 = index };
	int CLEANUP_FD worker_fd = watchdog_open();
	int CLEANUP_FD own_fd = worker_fd < 0 ? worker_fd : own_fd_copy(worker_fd);

	if (own_fd < 0)
		return own_fd;
	if (epoll_ctl(watchdogs->wait_fd, EPOLL_CTL_ADD, own_fd, &event) < 0)
		return -errno;
	watchdogs->entries[index] = (struct watchdogs_entry){ .timer_fd = fd_steal(&own_fd) };
	*ret_fd = fd_steal(&worker_fd);
	return 0;
}

void
watchdogs_start(struct watchdogs *watchdogs, uint32_t index, pid_t pid)
{
	watchdogs->entries[index].pid = pid;
}

void
watchdogs_close(struct watchdogs *watchdogs, uint32_t index)
{
	struct watchdogs_entry *entry = &watchdogs->entries[index];

	/* A worker that was given up still has it open, so that close(2) alone would not
	 * remove it from the epoll. */
	if (entry->timer_fd >= 0)
		(void)epoll_ctl(watchdogs->wait_fd, EPOLL_CTL_DEL, entry->timer_fd, NULL);
	fd_close(&entry->timer_fd);
	*entry = (struct watchdogs_entry){ .timer_fd = -1 };
}

static void
watchdogs_kill_due(struct watchdogs *watchdogs, uint64_t now_ms)
{
	struct epoll_event event;
	uint64_t times;

	/* A worker that ran wild may have a timer that is always due. */
	for (uint32_t i = 0;
	     i < watchdogs->count && epoll_pwait(watchdogs->wait_fd, &event, 1, 0, NULL) > 0; i++) {
		struct watchdogs_entry *entry = &watchdogs->entries[event.data.u32];

		/* Called off in the last moment? */
		if (read(entry->timer_fd, &times, sizeof(times)) < 0 || entry->pid == 0)
			continue;
		if (now_ms < watchdogs->renew_until_ms) {
			watchdog_set_other(entry->timer_fd, WATCHDOGS_RENEW_MS);
			continue;
		}
		if (watchdogs->spare != NULL &&
		    watchdogs->spare(watchdogs->spare_context, event.data.u32, entry->timer_fd))
			continue;
		(void)kill(entry->pid, SIGKILL);
		if (entry->give_up_ms == 0)
			entry->give_up_ms = now_ms + WATCHDOGS_DEATH_MS;
	}
}

static bool
watchdogs_may_lose(const struct watchdogs *watchdogs)
{
	return watchdogs->lost_count < watchdogs->lost_max;
}

bool
watchdogs_step(struct watchdogs *watchdogs, uint64_t now_ms, uint32_t *ret_index)
{
	watchdogs_kill_due(watchdogs, now_ms);
	for (uint32_t i = 0; i < watchdogs->count && watchdogs_may_lose(watchdogs); i++) {
		const struct watchdogs_entry *entry = &watchdogs->entries[i];

		if (entry->give_up_ms != 0 && now_ms >= entry->give_up_ms) {
			watchdogs->lost[watchdogs->lost_count++] = entry->pid;
			*ret_index = i;
			return true;
		}
	}
	return false;
}

void
watchdogs_renew(struct watchdogs *watchdogs, uint64_t now_ms)
{
	watchdogs->renew_until_ms = now_ms + WATCHDOGS_RENEW_MS;
}

bool
watchdogs_has_killed(const struct watchdogs *watchdogs, uint32_t index)
{
	return watchdogs->entries[index].give_up_ms != 0;
}

uint64_t
watchdogs_next_ms(const struct watchdogs *watchdogs)
{
	uint64_t next = CLOCK_NEVER;

	for (uint32_t i = 0; i < watchdogs->count && watchdogs_may_lose(watchdogs); i++) {
		uint64_t give_up_ms = watchdogs->entries[i].give_up_ms;

		if (give_up_ms != 0 && give_up_ms < next)
			next = give_up_ms;
	}
	return next;
}

/* The index of PID among the lost workers; their number where it is not among them. */
static uint32_t
watchdogs_find_lost(const struct watchdogs *watchdogs, pid_t pid)
{
	uint32_t i = 0;

	while (i < watchdogs->lost_count && watchdogs->lost[i] != pid)
		i++;
	return i;
}

bool
watchdogs_has_lost(const struct watchdogs *watchdogs, pid_t pid)
{
	return watchdogs_find_lost(watchdogs, pid) < watchdogs->lost_count;
}

void
watchdogs_forget(struct watchdogs *watchdogs, pid_t pid)
{
	uint32_t i = watchdogs_find_lost(watchdogs, pid);

	if (i < watchdogs->lost_count)
		watchdogs->lost[i] = watchdogs->lost[--watchdogs->lost_count];
}
