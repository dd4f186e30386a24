/*
 * worker_serve: a connection, from its opening to its end: how its requests are admitted, wait
 * while the guest is quiesced, are dispatched, and follow each other.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <malloc.h>
#include <stdatomic.h>
#include <string.h>

#include "platform/clock.h"
#include "platform/compat.h"
#include "platform/log.h"
#include "platform/watchdog.h"
#include "session/file/write_ahead.h"
#include "session/request_table.h"
#include "session/rest.h"
#include "shared/admission.h"
#include "shared/host_clock.h"
#include "worker/crowd.h"
#include "worker/next_frame.h"
#include "worker/opening.h"
#include "worker/worker_state.h"

/* A request above this has left much behind it in the heap, for the next session. */
#define WORKER_SERVE_LARGE (64 * 1024)

/* Of an upload that was refused, what the host has on its way is read; not for longer, as this
 * worker may be the last one. */
#define WORKER_SERVE_DISCARD_MS 1000

/* Who sends ahead without a pause has so many times as many requests served as others. */
#define WORKER_SERVE_AHEAD 16

/* A request that has the guest thawed is served after that, or after this. */
#define WORKER_SERVE_THAW_MS 10000

/* How the request that FRAME begins is refused, which the supervisor goes by as well. */
static void
worker_serve_set_reply_style(struct session *session, const struct first_frame *frame)
{
	const struct request *request = request_table_find(frame->is_file_port, frame->type);
	uint8_t style = frame->is_file_port ? SLOT_REPLY_FILE : SLOT_REPLY_EXEC;

	if (request != NULL)
		style = request->reply_style;
	atomic_store(&session->slot->reply_style, style);
}

/* A request that was begun and could not be read to its end, because of ERROR. */
static void
worker_serve_refuse_unread(struct session *session, int error)
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
worker_serve_refuse_busy(struct session *session, const struct request *request, const char *text)
{
	watchdog_set(0); /* of a request before this one */
	session_refuse(session, &session->board->counts.refused, -EBUSY, "%s", text);
	if (request->type == VMM_GUEST_FILE_WRITE_REQ)
		session_discard_upload(session, WORKER_SERVE_DISCARD_MS);
}

/* Has REQUEST wait while the guest is quiesced, with its place; or refuses it. Returns whether it
 * is to be served. */
static bool
worker_serve_await_thaw(struct session *session, const struct request *request)
{
	int r = 0;

	if (request->quiesced == REQUEST_THAWS) {
		(void)quiesce_ask_and_wait(&session->board->quiesce, QUIESCE_ASK_THAW,
		    request->type == VMM_GUEST_SHUTDOWN ? QUIESCE_THAW_SHUTDOWN : QUIESCE_THAW_THAW,
		    session->board->quiesce_bell_fd, clock_mono_ms() + WORKER_SERVE_THAW_MS);
	} else if (request->quiesced == REQUEST_WAITS) {
		/* Who moves directories meanwhile has all the time of the quiesce. */
		if (rest_is_due())
			file_write_ahead_leave();
		r = rest_admit(&session->conn);
	}
	if (r == -ETIMEDOUT)
		worker_serve_refuse_busy(session, request, "busy: quiesced");
	else if (r == -ECANCELED)
		worker_serve_refuse_unread(session, r);
	return r == 0;
}

static void
worker_serve_dispatch(
    struct worker *worker, struct session *session, const struct first_frame *frame)
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
		worker_serve_refuse_busy(session, request, text);
		return;
	}
	if (!worker_serve_await_thaw(session, request))
		return;
	worker_collect(worker);
	worker_set_title(worker, request->name);
	request->serve(session, frame->type, frame->payload, frame->len);
	/* The next request sets it anew, if that is there already. */
	if (!session->goes_on)
		watchdog_set(0);
	if (frame->len > WORKER_SERVE_LARGE || request->is_large)
		(void)malloc_trim(0);
}

/* Answers the request that FRAME begins, of which ERROR says whether it came whole. */
static void
worker_serve_answer(
    struct worker *worker, struct session *session, const struct first_frame *frame, int error)
{
	if (error < 0)
		worker_serve_refuse_unread(session, error);
	else
		worker_serve_dispatch(worker, session, frame);
	/* Where there was no last frame, as the host had gone. */
	admission_free(session->board, session->slot_index);
	rest_leave();
}

/* Whether a first frame that was read with this outcome is to be answered. */
static bool
worker_serve_has_request(const struct first_frame *frame, int error)
{
	return error == 0 || (frame->is_begun && error != -EPIPE);
}

/* The requests behind one that has said `more`. */
static void
worker_serve_go_on(struct worker *worker, struct session *session)
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
		    session->is_last || worker_rounds_served(worker) >= WORKER_SERVE_AHEAD;
		r = next_frame_read(session, worker->options->settings, &next, &frame);
		if (worker_serve_has_request(&frame, r))
			worker_serve_answer(worker, session, &frame, r);
	}
	file_write_ahead_leave();
	(void)session_send_held(session);
	watchdog_set(0);
}

/* Returns false if the connection was parked. */
static bool
worker_serve_converse(struct worker *worker, struct session *session, const struct opening *opening)
{
	struct first_frame frame;
	int r = opening_read(session, worker->options, opening, &frame);

	if (r == -EAGAIN)
		return false;
	if (worker_serve_has_request(&frame, r)) {
		worker_serve_set_reply_style(session, &frame);
		worker_serve_answer(worker, session, &frame, r);
		worker_serve_go_on(worker, session);
	} else {
		session_drop_duplicate(session);
		conn_close(&session->conn);
		return true;
	}
	session_drop_duplicate(session);
	conn_finish(&session->conn);
	return true;
}

/* The order of the slot's phases is what the supervisor relies on when we die; see scoreboard.h. */
void
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
	if (worker_serve_converse(worker, &session, opening))
		worker->served++;
	worker->is_used_up = session.is_last || session.has_left_duplicate;
	rest_end();
	host_clock_log();
	log_set_session(0);
	atomic_store(&slot->sessions_served, worker->served);
	scoreboard_clear_slot(slot);
	worker_set_title(worker, "idle");
}
