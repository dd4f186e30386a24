/*
 * SPDX-License-Identifier: MIT
 */
#include "supervisor/parked.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "platform/clock.h"
#include "platform/fd.h"
#include "platform/fdpass.h"
#include "platform/io_error.h"
#include "platform/log.h"
#include "shared/parking.h"
#include "supervisor/own_fd.h"

/* Descriptors that are left for all else that the supervisor does; and for each worker, whose
 * queue and watchdog it holds. */
#define PARKED_FDS_LEFT (OWN_FD_MIN + 156)
#define PARKED_FDS_OF_WORKER 4

/* Connections that one turn deals with, each way. */
#define PARKED_TURN 64

/* Of those that are first to go, how many are looked at for one that has said nothing. */
#define PARKED_LOOKS 16

static struct log_limit parked_limit = { .burst = 1, .period_ms = 60000 };

struct parked_conn {
	TAILQ_ENTRY(parked_conn) link;
	uint64_t until_ms; /* then it is closed if it says nothing */
	struct parking parking;
	int fd;
};

enum parked_state {
	PARKED_SILENT,
	PARKED_SPEAKS,
	PARKED_GONE,
};

static enum parked_state
parked_look(const struct parked_conn *entry)
{
	uint8_t byte;
	ssize_t n = recv(entry->fd, &byte, sizeof(byte), MSG_PEEK | MSG_DONTWAIT);
	enum io_meaning meaning;

	if (n >= 0)
		return n > 0 ? PARKED_SPEAKS : PARKED_GONE;
	meaning = io_error_read(IO_CONNECTION, errno);
	return meaning == IO_GONE || meaning == IO_BROKEN ? PARKED_GONE : PARKED_SILENT;
}

/* ---- the list ---------------------------------------------------------------- */

static void
parked_set_count(struct parked *parked, uint32_t count)
{
	parked->count = count;
	atomic_store(&parked->board->parked, count);
}

static void
parked_insert(struct parked *parked, struct parked_conn *entry)
{
	struct parked_conn *before;

	/* Most come in the order of their time. */
	TAILQ_FOREACH_REVERSE(before, &parked->list, parked_list, link)
	{
		if (before->until_ms <= entry->until_ms)
			break;
	}
	if (before == NULL)
		TAILQ_INSERT_HEAD(&parked->list, entry, link);
	else
		TAILQ_INSERT_AFTER(&parked->list, before, entry, link);
}

static void
parked_remove(struct parked *parked, struct parked_conn *entry)
{
	/* Closing does not do that while another process has the connection open. */
	(void)epoll_ctl(parked->wait_fd, EPOLL_CTL_DEL, entry->fd, NULL);
	fd_close(&entry->fd);
	TAILQ_REMOVE(&parked->list, entry, link);
	free(entry);
	parked_set_count(parked, parked->count - 1);
}

/* Closes ENTRY, which is the next to go, but not if it has spoken: all that keeps it here is that
 * no worker has taken it yet. Returns whether it was closed. */
static bool
parked_close(struct parked *parked, struct parked_conn *entry, uint64_t now_ms)
{
	if (parked_look(entry) != PARKED_SPEAKS) {
		parked_remove(parked, entry);
		return true;
	}
	TAILQ_REMOVE(&parked->list, entry, link);
	entry->until_ms = now_ms + parked->timeout_ms;
	parked_insert(parked, entry);
	return false;
}

static bool
parked_make_room(struct parked *parked, uint64_t now_ms)
{
	for (int i = 0; i < PARKED_LOOKS && parked->count >= parked->max; i++) {
		if (parked_close(parked, TAILQ_FIRST(&parked->list), now_ms))
			log_limited(&parked_limit,
			    "more than %u connections say nothing: closing the oldest",
			    parked->max);
	}
	return parked->count < parked->max;
}

/* While the guest is quiesced the time does not run, and stands whole again after that. */
static void
parked_renew(struct parked *parked, uint64_t now_ms)
{
	uint64_t number = quiesce_number(&parked->board->quiesce);
	struct parked_conn *entry;

	if (number != parked->quiesce) {
		TAILQ_FOREACH (entry, &parked->list, link)
			entry->until_ms = now_ms + parked->timeout_ms;
	}
	parked->quiesce = quiesce_phase(&parked->board->quiesce) == QUIESCE_NONE ? number : 0;
}

uint64_t
parked_step(struct parked *parked, uint64_t now_ms)
{
	struct parked_conn *entry;

	if (parked->count == 0)
		return CLOCK_NEVER;
	parked_renew(parked, now_ms);
	while ((entry = TAILQ_FIRST(&parked->list)) != NULL && entry->until_ms <= now_ms)
		(void)parked_close(parked, entry, now_ms);
	return entry == NULL ? CLOCK_NEVER : entry->until_ms;
}

/* ---- from workers, and to them ------------------------------------------------- */

/* Takes FD. What goes with it was written by a worker, and is checked as a stranger's; the port
 * goes to a worker again. */
static void
parked_add(struct parked *parked, int fd, const struct parking *parking, uint64_t now_ms)
{
	int CLEANUP_FD conn_fd = own_fd_hide(fd);
	struct epoll_event event = { .events = EPOLLIN | EPOLLRDHUP };
	struct parked_conn *entry;

	if (parked->is_ending || !parked_make_room(parked, now_ms))
		return;
	entry = malloc(sizeof(*entry));
	if (entry == NULL)
		return;
	event.data.ptr = entry;
	if (epoll_ctl(parked->wait_fd, EPOLL_CTL_ADD, conn_fd, &event) < 0) {
		free(entry);
		return;
	}
	entry->fd = fd_steal(&conn_fd);
	entry->parking = *parking;
	entry->until_ms = now_ms + clock_sooner(parking->left_ms, parked->timeout_ms);

	parked_insert(parked, entry);
	parked_set_count(parked, parked->count + 1);
}

static void
parked_receive(struct parked *parked, uint64_t now_ms)
{
	for (int i = 0; i < PARKED_TURN; i++) {
		struct parking parking;
		int fd;
		int r = fdpass_take(parked->queue_fd, &fd, &parking, sizeof(parking));

		if (r == -EAGAIN)
			break;
		if (r == 0)
			parked_add(parked, fd, &parking, now_ms);
		else
			io_error_pause();
	}
}

static void
parked_hand_over(struct parked *parked, uint64_t now_ms)
{
	struct epoll_event events[PARKED_TURN];
	int count = epoll_pwait(parked->wait_fd, events, PARKED_TURN, 0, NULL);

	for (int i = 0; i < count; i++) {
		struct parked_conn *entry = events[i].data.ptr;
		int r = 0;

		entry->parking.left_ms = clock_until(entry->until_ms, now_ms);
		if (parked_look(entry) != PARKED_GONE)
			r = fdpass_put(
			    parked->queue_fd, entry->fd, &entry->parking, sizeof(entry->parking));
		if (r == 0) {
			parked_remove(parked, entry);
			continue;
		}
		/* The kernel may have no memory for it. */
		if (r != -EAGAIN)
			io_error_pause();
		parked->is_full = true;
		break;
	}
}

void
parked_poll(const struct parked *parked, struct pollfd *polls)
{
	polls[0] = (struct pollfd){ .fd = parked->queue_fd, .events = POLLIN };
	polls[1] = (struct pollfd){ .fd = parked->wait_fd, .events = POLLIN };
	if (parked->is_full) {
		polls[0].events |= POLLOUT;
		polls[1].fd = -1;
	}
}

void
parked_act(struct parked *parked, const struct pollfd *polls, uint64_t now_ms)
{
	if (polls[0].revents & POLLOUT)
		parked->is_full = false;
	if (polls[0].revents & POLLIN)
		parked_receive(parked, now_ms);
	if (polls[1].revents != 0)
		parked_hand_over(parked, now_ms);
}

/* ---- begin and end --------------------------------------------------------------- */

int
parked_open(struct parked *parked, struct scoreboard *board, int timeout_ms)
{
	uint64_t left = PARKED_FDS_LEFT + (uint64_t)board->workers * PARKED_FDS_OF_WORKER;
	struct rlimit limit = { 0 };
	int CLEANUP_FD queue_fd = -1;
	int CLEANUP_FD workers_fd = -1;
	int wait_fd;
	int r;

	*parked = (struct parked){ .board = board,
		.timeout_ms = (uint64_t)timeout_ms,
		.quiesce = quiesce_number(&board->quiesce),
		.queue_fd = -1,
		.workers_fd = -1,
		.wait_fd = -1 };
	TAILQ_INIT(&parked->list);
	(void)getrlimit(RLIMIT_NOFILE, &limit);
	if (limit.rlim_cur <= left)
		return -EMFILE;
	left = limit.rlim_cur - left;
	r = fdpass_open(&queue_fd, &workers_fd);
	if (r < 0)
		return r;
	wait_fd = epoll_create1(EPOLL_CLOEXEC);
	if (wait_fd < 0)
		return -errno;
	parked->max = left < PARKED_MAX ? (uint32_t)left : PARKED_MAX;
	parked->queue_fd = own_fd_hide(fd_steal(&queue_fd));
	parked->workers_fd = fd_steal(&workers_fd);
	parked->wait_fd = own_fd_hide(wait_fd);
	return 0;
}

void
parked_end(struct parked *parked)
{
	struct parked_conn *entry;

	parked->is_ending = true;
	while ((entry = TAILQ_FIRST(&parked->list)) != NULL)
		parked_remove(parked, entry);
}
