/*
 * worker: a process of the pool, from its birth to its end.
 *
 * The listeners have an epoll of their own (EPOLLEXCLUSIVE), on which a worker
 * waits only when it is idle: a busy one must not swallow a wake-up that an idle
 * one could follow. Signals are blocked outside of waiting.
 *
 * SPDX-License-Identifier: MIT
 */
#include "worker/worker.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "platform/clock.h"
#include "platform/compat.h"
#include "platform/fd.h"
#include "platform/io_result.h"
#include "platform/listener.h"
#include "platform/log.h"
#include "platform/oom_score.h"
#include "platform/text.h"
#include "platform/watchdog.h"
#include "session/file/temporary.h"
#include "session/rest.h"
#include "session/stop.h"
#include "session/run/streams.h"
#include "worker/opening.h"
#include "worker/worker_state.h"

#define WORKER_NAME_MAX 32

/* The OOM killer picks a worker after any session, and before the supervisor. */
#define WORKER_OOM_SCORE "-900"

/* The pause after an accept that failed for want of memory or descriptors. */
#define WORKER_ACCEPT_PAUSE_MS 100

/* Strangers, and want of memory or descriptors, may not fill the log. */
static struct log_limit worker_accept_limit = { .burst = 1, .period_ms = 60000 };
static struct log_limit worker_log_limit = { .burst = 2, .period_ms = 10000 };

/* In the place of a listener's index: the queue of those that were parked. */
#define WORKER_PARKED WORKER_LISTENERS_MAX

void
worker_collect(struct worker *worker)
{
	struct scoreboard *board = worker->options->board;

	if (worker->has_collected || quiesce_is_raised(&board->quiesce))
		return;
	worker->has_collected = true;
	file_temporary_collect(board, worker->options->index);
}

uint32_t
worker_rounds_served(const struct worker *worker)
{
	uint32_t recycle = worker->options->settings->recycle;

	return recycle > 0 ? worker->served / recycle : 0;
}

void
worker_set_title(const struct worker *worker, const char *doing)
{
	setproctitle("worker %u: %s", worker->options->index, doing);
}

static void
worker_init(struct worker *worker, const struct worker_options *options)
{
	char name[WORKER_NAME_MAX];

	*worker = (struct worker){
		.options = options,
		.slot = &options->board->slots[options->index],
		.epoll_fd = -1,
		.conn_fd_number = -1,
	};
	stop_init();
	/* A service that is killed takes its sessions with it. */
	(void)prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != options->board->supervisor_pid && options->queue_read_fd >= 0)
		exit(0);
	watchdog_init(options->watchdog_fd);
	rest_init(options->board, options->index, options->queue_read_fd);
	stop_set_grace(&options->board->shutdown.grace_ms);
	(void)text_format(name, sizeof(name), "worker %u", options->index);
	log_set_process(name);
	worker_set_title(worker, "idle");
	worker->unix_room = listener_message_max(options->listeners[0].fd);
}

static int
worker_watch(const struct worker *worker, int fd, int index)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLEXCLUSIVE,
		.data.u32 = (uint32_t)index };

	return io_result(epoll_ctl(worker->epoll_fd, EPOLL_CTL_ADD, fd, &event));
}

static int
worker_watch_listeners(struct worker *worker)
{
	const struct worker_options *options = worker->options;
	int r = 0;

	worker->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (worker->epoll_fd < 0)
		return -errno;
	for (int i = 0; i < options->listeners_count && r == 0; i++)
		r = worker_watch(worker, options->listeners[i].fd, i);
	if (r == 0 && options->parking_fd >= 0)
		r = worker_watch(worker, options->parking_fd, WORKER_PARKED);
	return r;
}

/* Whether another session may begin. A signal that has come is not enough to go by: a
 * wait for connections that finds one looks at no signal, and the end of the machine
 * would cut that session short. */
static bool
worker_is_wanted(const struct worker *worker)
{
	return !stop_is_requested() &&
	       atomic_load(&worker->options->board->shutdown.stage) < SCOREBOARD_ENDING;
}

/* Waits for a connection; before that, does what a session should not have to. Returns 0
 * with *RET, -EAGAIN if there is none for us, -EINTR if it is time to look whether to
 * leave, or -errno. */
static int
worker_accept(struct worker *worker, struct opening *ret)
{
	const struct worker_listener *listener;
	struct epoll_event event;
	uint32_t peer = 0;
	int n;

	streams_prepare();
	worker_collect(worker);
	n = epoll_pwait(worker->epoll_fd, &event, 1, -1, stop_wait_mask());
	if (n < 0)
		return -errno;
	if (!worker_is_wanted(worker))
		return -EINTR;
	if (event.data.u32 == WORKER_PARKED)
		return opening_take_parked(worker->options->parking_fd, ret);
	listener = &worker->options->listeners[event.data.u32];
	ret->session = 0;
	ret->left_ms = (uint64_t)worker->options->settings->first_frame_timeout_ms;
	ret->port = listener->port;
	n = listener_accept(listener->fd, worker->options->settings->any_peer, &ret->fd, &peer);
	if (n == -ECONNREFUSED)
		log_limited(&worker_log_limit, "refused a connection of %u: not the host", peer);
	return n == -ECONNREFUSED ? -EAGAIN : n;
}

/* A session must leave nothing behind, neither a descriptor nor a child. The kernel
 * gives a new descriptor the lowest free number, so that a leaked one shows in
 * the number of the next connection. */
static bool
worker_has_leaked(struct worker *worker, int conn_fd)
{
	if (worker->conn_fd_number < 0)
		worker->conn_fd_number = conn_fd;
	return conn_fd != worker->conn_fd_number;
}

static bool
worker_has_children(void)
{
	siginfo_t info;

	return waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0 || errno != ECHILD;
}

static bool
worker_is_due(const struct worker *worker)
{
	return worker->is_used_up || worker_has_children() || worker_rounds_served(worker) > 0;
}

static void
worker_set_oom_score(const struct worker_options *options)
{
	int r = oom_score_init(options->settings->is_protected ? WORKER_OOM_SCORE : NULL);

	if (r < 0)
		log_error(r, "can't set oom_score_adj");
}

_Noreturn void
worker_run(const struct worker_options *options)
{
	struct worker worker;
	int r;

	worker_set_oom_score(options);
	worker_init(&worker, options);
	r = worker_watch_listeners(&worker);
	if (r < 0)
		fatal_error(r, "can't watch the listeners");
	while (worker_is_wanted(&worker)) {
		struct opening opening;
		bool is_last;

		r = worker_accept(&worker, &opening);
		log_end_quiet();
		if (r == -EINTR || r == -EAGAIN)
			continue;
		if (r < 0) {
			log_limited(&worker_accept_limit, "can't accept: %s", strerror(-r));
			clock_sleep_ms(WORKER_ACCEPT_PAUSE_MS);
			continue;
		}
		is_last = worker_has_leaked(&worker, opening.fd);
		worker_serve(&worker, &opening);
		if (is_last || worker_is_due(&worker))
			break;
	}
	exit(0);
}

int
worker_run_once(const struct worker_options *options)
{
	struct opening opening;
	struct worker worker;
	int r;

	worker_set_oom_score(options);
	worker_init(&worker, options);
	r = worker_watch_listeners(&worker);
	while (r == 0 && worker_is_wanted(&worker)) {
		r = worker_accept(&worker, &opening);
		if (r == 0) {
			worker_serve(&worker, &opening);
			break;
		}
		if (r == -EINTR || r == -EAGAIN)
			r = 0;
	}
	fd_close(&worker.epoll_fd);
	return r;
}
