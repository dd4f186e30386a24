/*
 * SPDX-License-Identifier: MIT
 */
#include "worker/next_frame.h"

#include <errno.h>
#include <poll.h>
#include <stdatomic.h>

#include "platform/clock.h"
#include "session/rest.h"
#include "session/stop.h"

/* Drops what is left of the last request: DONE may have a payload. */
static int
next_frame_skip_rest(struct session *session)
{
	const uint8_t *ignored;
	ssize_t n;

	do {
		n = conn_read_payload(
		    &session->conn, clock_mono_ms() + VMM_GUEST_MORE_MS, &ignored);
	} while (n > 0);
	return (int)n;
}

/* Whether the worker is needed elsewhere. */
static bool
next_frame_is_worker_needed(const struct session *session, bool is_connected_to)
{
	return stop_is_requested() || quiesce_is_raised(&session->board->quiesce) ||
	       (is_connected_to && scoreboard_count_idle(session->board) == 0);
}

/* Waits for the first byte, if it is not there. Returns whether it came in time, and the
 * worker is not needed elsewhere: this is where its signals get through. */
static bool
next_frame_await(const struct session *session, int listeners_fd)
{
	struct pollfd polls[] = {
		{ .fd = conn_fd(&session->conn), .events = POLLIN },
		{ .fd = listeners_fd, .events = POLLIN },
	};
	uint64_t deadline_ms = clock_mono_ms() + VMM_GUEST_MORE_MS;
	const uint8_t *bytes;
	bool is_there = conn_peek(&session->conn, &bytes) > 0;

	if (is_there) {
		polls[0].fd = -1;
		deadline_ms = 0;
	}
	for (;;) {
		int n = stop_poll(polls, 2, deadline_ms, true);
		bool is_connected_to = n > 0 && polls[1].revents != 0;

		if (n < 0 && errno != EINTR)
			return false;
		if (next_frame_is_worker_needed(session, is_connected_to))
			return false;
		if (n == 0 || (n > 0 && polls[0].revents != 0))
			return is_there || n > 0;
		/* Another worker follows that, and we look no more. */
		if (is_connected_to)
			polls[1].fd = -1;
	}
}

int
next_frame_read(struct session *session, const struct worker_settings *settings, int listeners_fd,
    bool *is_last, struct first_frame *ret)
{
	bool is_whole;

	*ret = (struct first_frame){ 0 };
	if (!conn_has_answer_room(&session->conn) || next_frame_skip_rest(session) < 0)
		return -EAGAIN;
	is_whole = *is_last || !next_frame_await(session, listeners_fd);
	*is_last = is_whole;
	if (is_whole && first_frame_read_next(session, settings, true, ret) < 0) {
		ret->is_begun = false;
		return -EAGAIN;
	}
	/* It is owed an answer, and from here on the supervisor has one. */
	atomic_store(&session->slot->phase, SLOT_OPEN);
	if (is_whole)
		return 0;
	rest_end();
	return first_frame_read_next(session, settings, false, ret);
}
