/*
 * SPDX-License-Identifier: MIT
 */
#include "worker/next_frame.h"

#include <errno.h>
#include <poll.h>
#include <stdatomic.h>

#include "platform/clock.h"
#include "platform/watchdog.h"
#include "session/file/write_ahead.h"
#include "session/rest.h"
#include "session/stop.h"

/* So many requests that stand in the buffer are read without another look, and so long: the
 * answers to them, and to the one before, can be held back. */
#define NEXT_FRAME_REQUESTS (SLOT_HELD_MAX - 1)
#define NEXT_FRAME_LOOK_MS 10

/* Drops what is left of the last request: DONE may have a payload. */
static int
next_frame_skip_rest(struct session *session)
{
	uint64_t deadline_ms = clock_mono_ms() + VMM_GUEST_MORE_MS;
	const uint8_t *ignored;
	ssize_t n;

	do {
		n = conn_read_payload(&session->conn, deadline_ms, &ignored);
	} while (n > 0);
	return (int)n;
}

/* Whether the worker is needed elsewhere; IS_CONNECTED_TO: somebody has connected. */
static bool
next_frame_is_worker_needed(const struct session *session, bool is_connected_to)
{
	return stop_is_requested() || quiesce_is_raised(&session->board->quiesce) ||
	       (is_connected_to && scoreboard_count_idle(session->board) == 0);
}

/* Waits for EVENTS of the connection, for MAX_MS at most; 0: only looks at the rest. Returns 1 when
 * they show, 0 when time is up, or -EAGAIN if the worker is needed elsewhere. */
static int
next_frame_wait(const struct session *session, int listeners_fd, short events, uint64_t max_ms)
{
	struct pollfd polls[] = {
		{ .fd = max_ms > 0 ? conn_fd(&session->conn) : -1, .events = events },
		{ .fd = listeners_fd, .events = POLLIN },
	};
	uint64_t deadline_ms = clock_mono_ms() + max_ms;

	for (;;) {
		int n = stop_poll(polls, 2, deadline_ms, true);
		bool is_connected_to = n > 0 && polls[1].revents != 0;

		if ((n < 0 && errno != EINTR) ||
		    next_frame_is_worker_needed(session, is_connected_to))
			return -EAGAIN;
		if (n == 0 || (n > 0 && polls[0].revents != 0))
			return n > 0;
		/* Another worker follows that, and we look no more. */
		if (is_connected_to)
			polls[1].fd = -1;
	}
}

/* Waits until the host has left room for an answer, whoever is to give it. */
static int
next_frame_await_room(struct session *session, int listeners_fd)
{
	uint64_t begun_ms = clock_mono_ms();
	int stall_ms = conn_stall_ms(&session->conn);
	int r = conn_has_room(&session->conn) ? 1 : 0;

	while (r == 0 && (stall_ms < 0 || clock_mono_ms() - begun_ms < (uint64_t)stall_ms))
		r = next_frame_wait(session, listeners_fd, POLLOUT, VMM_GUEST_MORE_MS);
	return r > 0 ? 0 : -EAGAIN;
}

/* Waits for the first byte. A wait that finds one looks at no signal, and so there are two. */
static int
next_frame_await(const struct session *session, int listeners_fd, bool is_there)
{
	int r = next_frame_wait(session, listeners_fd, 0, 0);

	if (r < 0 || is_there)
		return r;
	return next_frame_wait(session, listeners_fd, POLLIN, VMM_GUEST_MORE_MS) > 0 ? 0 : -EAGAIN;
}

/* Whether it can be gone on without another look: these cost as much as a tenth of a small
 * file. There was room for far more than some ACKs, and this was a moment ago. */
static bool
next_frame_has_looked(struct next_frame *next, const struct session *session, bool is_there)
{
	uint64_t bytes_out = atomic_load_explicit(&session->slot->bytes_out, memory_order_relaxed);
	uint64_t now_ms = clock_mono_ms();

	if (is_there && now_ms - next->looked_ms < NEXT_FRAME_LOOK_MS &&
	    bytes_out == next->bytes_out && next->requests < NEXT_FRAME_REQUESTS) {
		next->requests++;
		return !quiesce_is_raised(&session->board->quiesce);
	}
	next->requests = 0;
	next->looked_ms = now_ms;
	next->bytes_out = bytes_out;
	return false;
}

int
next_frame_read(struct session *session, const struct worker_settings *settings,
    struct next_frame *next, struct first_frame *ret)
{
	const uint8_t *bytes;
	bool is_there;

	*ret = (struct first_frame){ 0 };
	if (!conn_has_answer_room(&session->conn) || next_frame_skip_rest(session) < 0)
		return -EAGAIN;
	is_there = conn_peek(&session->conn, &bytes) > 0;
	/* What the host has sent ahead it would send again. */
	if (next->is_due && !is_there) {
		if (conn_fill(&session->conn) <= 0)
			return -EAGAIN;
		is_there = true;
	}
	if (!next_frame_has_looked(next, session, is_there)) {
		file_write_ahead_leave();
		if (session_send_held(session) < 0)
			return -EAGAIN;
		atomic_store(&session->slot->phase, SLOT_LAST_SENT);
		watchdog_set(0);
		if (next_frame_await_room(session, next->listeners_fd) < 0)
			return -EAGAIN;
		if (next_frame_await(session, next->listeners_fd, is_there) < 0)
			next->is_last = true;
	}
	if (next->is_last && first_frame_read_next(session, settings, true, ret) < 0) {
		ret->is_begun = false;
		return -EAGAIN;
	}
	/* It is owed an answer, and from here on the supervisor has one. */
	atomic_store(&session->slot->phase, SLOT_OPEN);
	if (next->is_last)
		return 0;
	rest_end();
	return first_frame_read_next(session, settings, false, ret);
}
