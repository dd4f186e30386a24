/*
 * SPDX-License-Identifier: MIT
 */
#include "session/file/watch_queue.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "platform/clock.h"
#include "session/rest.h"
#include "session/stop.h"

struct inotify_event *
file_watch_queue_head(struct file_watch *watch)
{
	return watch->head < watch->tail ? (void *)(watch->queue + watch->head) : NULL;
}

static size_t
file_watch_queue_size(const struct inotify_event *event)
{
	return sizeof(*event) + event->len;
}

void
file_watch_queue_pop(struct file_watch *watch)
{
	watch->head += file_watch_queue_size(file_watch_queue_head(watch));
}

struct inotify_event *
file_watch_queue_pair(struct file_watch *watch, const struct inotify_event *from)
{
	for (size_t offset = watch->head; offset < watch->tail;) {
		struct inotify_event *event = (void *)(watch->queue + offset);

		if ((event->mask & IN_MOVED_TO) && event->cookie == from->cookie)
			return event;
		offset += file_watch_queue_size(event);
	}
	return NULL;
}

int
file_watch_queue_fill(struct file_watch *watch, int timeout_ms)
{
	struct pollfd wait[] = {
		{ .fd = watch->inotify_fd, .events = POLLIN },
		{ .fd = conn_fd(&watch->session->conn), .events = POLLRDHUP },
	};
	uint64_t deadline = timeout_ms < 0 ? CLOCK_NEVER : clock_mono_ms() + (uint64_t)timeout_ms;
	ssize_t n;

	memmove(watch->queue, watch->queue + watch->head, watch->tail - watch->head);
	watch->tail -= watch->head;
	watch->head = 0;
	rest_point();
	n = stop_poll(wait, 2, deadline, true);
	if (stop_is_now())
		return -ECANCELED;
	if (n <= 0)
		return n == 0 || errno == EINTR ? 0 : -errno;
	if (wait[1].revents != 0)
		return -EPIPE;
	n = read(watch->inotify_fd, watch->queue + watch->tail, sizeof(watch->queue) - watch->tail);
	if (n < 0) /* EINVAL: no room for one more event beside those that are held */
		return errno == EAGAIN || errno == EINTR || errno == EINVAL ? 0 : -errno;
	watch->tail += (size_t)n;
	return 0;
}
