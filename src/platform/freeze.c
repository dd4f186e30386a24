/*
 * SPDX-License-Identifier: MIT
 */
#include "platform/freeze.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "platform/cgroup.h"
#include "platform/clock.h"
#include "platform/fd.h"
#include "platform/io_result.h"

#define FREEZE_EVENTS_MAX 256

/* How often threads are looked at of which the cgroup tells nothing. */
#define FREEZE_LOOK_MS 10

/* The kernel looks at no argument, though the calls' numbers say that there is one. */
static int
freeze_call(int fd, unsigned long call)
{
	int unused = 0;

	return io_result(ioctl(fd, call, &unused));
}

int
freeze_files(int fd)
{
	return freeze_call(fd, FIFREEZE);
}

int
freeze_thaw_files(int fd)
{
	int r = freeze_call(fd, FITHAW);

	return r == -EINVAL ? 0 : r;
}

int
freeze_sync(int fd)
{
	return io_result(syncfs(fd));
}

int
freeze_cgroup(int cgroup_fd, bool is_frozen)
{
	return cgroup_write(cgroup_fd, "cgroup.freeze", is_frozen ? "1" : "0");
}

/* What the file says now; from there on poll(2) tells of a change. */
static int
freeze_read_events(int events_fd, uint64_t *ret_frozen)
{
	char text[FREEZE_EVENTS_MAX];
	ssize_t n = fd_pread_full(events_fd, text, sizeof(text) - 1, 0);

	if (n < 0)
		return (int)n;
	text[n] = '\0';
	return cgroup_parse_key(text, "frozen", ret_frozen);
}

int
freeze_await_cgroup(int cgroup_fd, bool is_frozen, int wake_fd, uint64_t deadline_ms)
{
	int CLEANUP_FD events_fd = openat(cgroup_fd, "cgroup.events", O_RDONLY | O_CLOEXEC);

	if (events_fd < 0)
		return -errno;
	for (;;) {
		struct pollfd polls[] = { { .fd = events_fd, .events = POLLPRI },
			{ .fd = wake_fd, .events = POLLIN } };
		uint64_t now = clock_mono_ms();
		uint64_t until_ms = deadline_ms;
		uint64_t frozen = 0;
		int r = freeze_read_events(events_fd, &frozen);
		bool is_said = (frozen != 0) == is_frozen;

		if (r < 0 || (is_said && (!is_frozen || cgroup_stands_still(cgroup_fd))))
			return r;
		if (now >= deadline_ms)
			return -ETIMEDOUT;
		if (is_said)
			until_ms = clock_sooner(until_ms, now + FREEZE_LOOK_MS);
		r = poll(polls, 2, clock_poll_timeout(now, until_ms));
		if (r < 0 && errno != EINTR)
			return -errno;
		if (r > 0 && polls[1].revents != 0)
			return -EINTR;
	}
}
