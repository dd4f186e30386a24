/*
 * worker: a process of the pool.
 *
 * The listeners have an epoll of their own (EPOLLEXCLUSIVE), on which a worker
 * waits only when it is idle: a busy one must not swallow a wake-up that an idle
 * one could follow. Signals are blocked outside of waiting.
 *
 * SPDX-License-Identifier: MIT
 */
#include "worker/worker.h"

#include <errno.h>
#include <malloc.h>
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
#include "session/file/write_ahead.h"
#include "shared/host_clock.h"
#include "session/request_table.h"
#include "session/rest.h"
#include "shared/admission.h"
#include "session/stop.h"
#include "session/run/streams.h"
#include "worker/crowd.h"
#include "worker/next_frame.h"
#include "worker/opening.h"

#define WORKER_NAME_MAX 32

/* The OOM killer picks a worker after any session, and before the supervisor. */
#define WORKER_OOM_SCORE "-900"

/* The pause after an accept that failed for want of memory or descriptors. */
#define WORKER_ACCEPT_PAUSE_MS 100

/* A request above this has left much behind it in the heap, for the next session. */
#define WORKER_LARGE_REQUEST (64 * 1024)

/* Of an upload that was refused, what the host has on its way is read; not for longer, as this
 * worker may be the last one. */
#define WORKER_DISCARD_BUSY_MS 1000

/* Who sends ahead without a pause has so many times as many requests served as others. */
#define WORKER_RECYCLE_AHEAD 16

/* A request that has the guest thawed is served after that, or after this. */
#define WORKER_THAW_MS 10000

/* Strangers, and want of memory or descriptors, may not fill the log. */
static struct log_limit worker_accept_limit = { .burst = 1, .period_ms = 60000 };
static struct log_limit worker_log_limit = { .burst = 2, .period_ms = 10000 };

/* In the place of a listener's index: the queue of those that were parked. */
#define WORKER_PARKED WORKER_LISTENERS_MAX

struct worker {
	const struct worker_options *options;
	struct slot *slot;
	int epoll_fd;
	int conn_fd_number; /* that a connection has, as long as nothing has leaked */
	size_t unix_room;   /* see conn_set_room() */
	bool is_used_up;    /* by its last session: see struct session */
	bool has_collected; /* what the last worker of the slot has left in a directory */
	uint32_t served;
};

/* Not while the file system may be frozen: it would hold this worker. */
static void
worker_collect(struct worker *worker)
{
	struct scoreboard *board = worker->options->board;

	if (worker->has_collected || quiesce_is_raised(&board->quiesce))
		return;
	worker->has_collected = true;
	file_temporary_collect(board, worker->options->index);
}

/* How many times it has served as many requests as it may. */
static uint32_t
worker_rounds_served(const struct worker *worker)
{
	uint32_t recycle = worker->options->settings->recycle;

	return recycle > 0 ? worker->served / recycle : 0;
}

/* ---- one session ------------------------------------------------------- */

static void
worker_set_title(const struct worker *worker, const char *doing)
{
	setproctitle("worker %u: %s", worker->options->index, doing);
}

/* How the request that FRAME begins is refused, which the supervisor goes by as well. */
static void
worker_set_reply_style(struct session *session, const struct first_frame *frame)
{
	const struct request *request = request_table_find(frame->is_file_port, frame->type);
	uint8_t style = frame->is_file_port ? SLOT_REPLY_FILE : SLOT_REPLY_EXEC;

	if (request != NULL)
		style = request->reply_style;
	atomic_store(&session->slot->reply_style, style);
}

/* A request that was begun and could not be read to its end, because of ERROR. */
static void
worker_refuse_unread(struct session *session, int error)
{
	if (error == -EMSGSIZE)
		session_refuse(session, &session->board->counts.bad_requests, -EPROTO,
		    "the frame is longer than a frame may be");
	else if (error == -ETIMEDOUT)
		session_refuse(
		    session, NULL, -ETIMEDOUT, "the request did not come whole in the time for it");
	else
		session_refuse(session, NULL, -ECANCELED, "the agent is stopping");
}

static void
worker_refuse_busy(struct session *session, const struct request *request, const char *text)
{
	watchdog_set(0); /* of a request before this one */
	session_refuse(session, &session->board->counts.refused, -EBUSY, "%s", text);
	if (request->type == VMM_GUEST_FILE_WRITE_REQ)
		session_discard_upload(session, WORKER_DISCARD_BUSY_MS);
}

/* Has REQUEST wait while the guest is quiesced, with its place; or refuses it. Returns whether it
 * is to be served. */
static bool
worker_await_thaw(struct session *session, const struct request *request)
{
	int r = 0;

	if (request->quiesced == REQUEST_THAWS) {
		(void)quiesce_ask_and_wait(&session->board->quiesce, QUIESCE_ASK_THAW,
		    request->type == VMM_GUEST_SHUTDOWN ? QUIESCE_THAW_SHUTDOWN : QUIESCE_THAW_THAW,
		    session->board->quiesce_bell_fd, clock_mono_ms() + WORKER_THAW_MS);
	} else if (request->quiesced == REQUEST_WAITS) {
		/* Who moves directories meanwhile has all the time of the quiesce. */
		if (rest_is_due())
			file_write_ahead_leave();
		r = rest_admit(&session->conn);
	}
	if (r == -ETIMEDOUT)
		worker_refuse_busy(session, request, "busy: quiesced");
	else if (r == -ECANCELED)
		worker_refuse_unread(session, r);
	return r == 0;
}

static void
worker_dispatch(struct worker *worker, struct session *session, const struct first_frame *frame)
{
	const struct request *request = request_table_find(frame->is_file_port, frame->type);
	_Atomic uint64_t *bad = &session->board->counts.bad_requests;
	char text[ADMISSION_TEXT_MAX];

	if (request == NULL) {
		session_refuse(
		    session, bad, -EPROTO, "no request begins with frame 0x%02x", frame->type);
		return;
	}
	(void)strlcpy(session->slot->kind, request->name, sizeof(session->slot->kind));
	if (frame->is_too_long) {
		session_refuse(
		    session, bad, -EPROTO, "the request is above %u bytes", VMM_GUEST_JSON_MAX);
		return;
	}
	if (!admission_take(session->board, session->slot_index, request->admission)) {
		admission_explain(session->board, request->admission, text);
		worker_refuse_busy(session, request, text);
		return;
	}
	if (!worker_await_thaw(session, request))
		return;
	worker_collect(worker);
	worker_set_title(worker, request->name);
	request->serve(session, frame->type, frame->payload, frame->len);
	/* The next request sets it anew, if that is there already. */
	if (!session->goes_on)
		watchdog_set(0);
	if (frame->len > WORKER_LARGE_REQUEST)
		(void)malloc_trim(0);
}

/* Answers the request that FRAME begins, of which ERROR says whether it came whole. */
static void
worker_answer(
    struct worker *worker, struct session *session, const struct first_frame *frame, int error)
{
	if (error < 0)
		worker_refuse_unread(session, error);
	else
		worker_dispatch(worker, session, frame);
	/* Where there was no last frame, as the host had gone. */
	admission_free(session->board, session->slot_index);
	rest_leave();
}

/* Whether a first frame that was read with this outcome is to be answered. */
static bool
worker_has_request(const struct first_frame *frame, int error)
{
	return error == 0 || (frame->is_begun && error != -EPIPE);
}

/* The requests behind one that has said `more`. */
static void
worker_go_on(struct worker *worker, struct session *session)
{
	struct next_frame next = { .listeners_fd = worker->epoll_fd };

	while (session->goes_on && !next.is_last) {
		struct first_frame frame;
		int r;

		session->goes_on = session->has_more = session->is_uploading = false;
		atomic_store(&session->slot->sessions_served, ++worker->served);
		session_describe(session, "", "");
		session->slot->kind[0] = '\0';
		atomic_store(&session->slot->is_flushing, 0);
		next.is_due = worker_rounds_served(worker) > 0;
		next.is_last =
		    session->is_last || worker_rounds_served(worker) >= WORKER_RECYCLE_AHEAD;
		r = next_frame_read(session, worker->options->settings, &next, &frame);
		if (worker_has_request(&frame, r))
			worker_answer(worker, session, &frame, r);
	}
	file_write_ahead_leave();
	(void)session_send_held(session);
	watchdog_set(0);
}

/* Returns false if the connection was parked. */
static bool
worker_converse(struct worker *worker, struct session *session, const struct opening *opening)
{
	struct first_frame frame;
	int r = opening_read(session, worker->options, opening, &frame);

	if (r == -EAGAIN)
		return false;
	if (worker_has_request(&frame, r)) {
		worker_set_reply_style(session, &frame);
		worker_answer(worker, session, &frame, r);
		worker_go_on(worker, session);
	} else {
		session_drop_duplicate(session);
		conn_close(&session->conn);
		return true;
	}
	session_drop_duplicate(session);
	conn_finish(&session->conn);
	return true;
}

/* Serves the connection of OPENING, which becomes the session's. The order of the slot's
 * phases is what the supervisor relies on when we die; see scoreboard.h. */
static void
worker_serve(struct worker *worker, const struct opening *opening)
{
	const struct worker_options *options = worker->options;
	struct scoreboard *board = options->board;
	struct slot *slot = worker->slot;
	struct session session = {
		.slot = slot,
		.slot_index = options->index,
		.board = board,
		.settings = &options->settings->session,
		.duplicates_fd = options->queue_read_fd,
	};
	uint64_t number;

	atomic_store(&slot->started_ms, clock_mono_ms());
	number = opening->session;
	if (number == 0)
		number = atomic_fetch_add(&board->counts.sessions, 1) + 1;
	atomic_store(&slot->phase, SLOT_ACCEPTED);
	atomic_store(&slot->session, number);
	conn_init(&session.conn, opening->fd, slot, board, session.settings->stall_timeout_ms);
	if (options->listeners[0].port == WORKER_PORT_BY_HANDSHAKE)
		conn_set_room(&session.conn, worker->unix_room);
	log_set_session(number);
	host_clock_look(board);
	opening_register(&session, options->queue_write_fd);
	crowd_make_way(board);
	if (worker_converse(worker, &session, opening))
		worker->served++;
	worker->is_used_up = session.is_last || session.has_left_duplicate;
	rest_end();
	host_clock_log();
	log_set_session(0);
	atomic_store(&slot->sessions_served, worker->served);
	scoreboard_clear_slot(slot);
	worker_set_title(worker, "idle");
}

/* ---- the pool's side --------------------------------------------------- */

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
