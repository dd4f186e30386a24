/*
 * SPDX-License-Identifier: MIT
 */
#include "session/rest.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

#include "platform/bell.h"
#include "platform/clock.h"
#include "platform/io_error.h"
#include "platform/log.h"
#include "platform/watchdog.h"
#include "session/conn.h"

/* Whoever lowers the number wakes us; where that could not be done we see it by this. */
#define REST_LOOK_MS 1000

static const _Atomic uint64_t rest_never;
const _Atomic uint64_t *rest_word = &rest_never;

static struct rest {
	struct scoreboard *board;
	struct slot *slot;
	const struct conn *conn;
	int duplicates_fd;
	bool is_gone; /* the host has, which shows all the time */
} rest;

/* Whether this worker rests or not: the log's own disk may be frozen. */
static bool
rest_is_quiet(void)
{
	return quiesce_is_raised(&rest.board->quiesce);
}

void
rest_init(struct scoreboard *board, uint32_t slot_index, int duplicates_fd)
{
	rest.board = board;
	rest.duplicates_fd = duplicates_fd;
	rest.slot = &board->slots[slot_index];
	log_set_quiet(rest_is_quiet);
}

void
rest_join(const struct conn *conn)
{
	rest.conn = conn;
	rest.is_gone = false;
	rest_word = &rest.board->quiesce.word;
	atomic_store(&rest.slot->has_to_rest, 1);
}

void
rest_leave(void)
{
	rest_word = &rest_never;
}

void
rest_end(void)
{
	rest_leave();
	if (rest.slot != NULL && atomic_exchange(&rest.slot->has_to_rest, 0) != 0 &&
	    rest_is_quiet())
		bell_ring(rest.board->quiesce_bell_fd);
	clock_unskip();
	log_end_quiet();
}

bool
rest_is_due_now(void)
{
	return quiesce_word_is_raised(atomic_load(rest_word));
}

/* Says in the slot that we rest, at the number of now. */
static void
rest_say(void)
{
	uint32_t number = (uint32_t)quiesce_number(&rest.board->quiesce);

	if (atomic_exchange(&rest.slot->rests, number) != number)
		bell_ring(rest.board->quiesce_bell_fd);
}

/* The host has gone. What it had sent is read after the rest, unless it was cut off. */
static void
rest_see_host_go(void)
{
	uint8_t next;

	rest.is_gone = true;
	if (recv(conn_fd(rest.conn), &next, sizeof(next), MSG_PEEK | MSG_DONTWAIT) < 0)
		conn_lose_host(rest.conn, rest.duplicates_fd);
}

/* Sleeps until something may have changed, and for MAX_MS at most. */
static void
rest_sleep(uint64_t max_ms)
{
	struct pollfd host = { .fd = rest.is_gone ? -1 : conn_fd(rest.conn), .events = POLLRDHUP };
	uint64_t begun_ms = clock_shared_ms();
	bool was_stopped = stop_is_now();
	struct timespec left;
	int n;

	watchdog_pause();
	n = ppoll(&host, 1, clock_left(clock_mono_ms() + clock_sooner(max_ms, REST_LOOK_MS), &left),
	    stop_wait_mask());
	if (n > 0)
		rest_see_host_go();
	if (n < 0 && errno != EINTR)
		io_error_pause();
	if (!was_stopped && stop_is_now())
		stop_pass_on();
	watchdog_resume();
	clock_skip(clock_shared_ms() - begun_ms);
}

bool
rest_turn(void)
{
	if (!rest_is_due_now() || stop_is_now()) {
		atomic_store(&rest.slot->rests, 0);
		log_end_quiet();
		return false;
	}
	if (conn_is_in_frame(rest.conn))
		return false;
	rest_say();
	rest_sleep(REST_LOOK_MS);
	return true;
}

void
rest_point(void)
{
	if (!rest_is_due())
		return;
	while (rest_turn())
		;
}

int
rest_admit(const struct conn *conn)
{
	uint64_t begun_ms = clock_shared_ms();
	uint64_t within_ms;
	int r = 0;

	rest_join(conn);
	while (r == 0 && rest_is_due_now()) {
		uint64_t waited_ms = clock_shared_ms() - begun_ms;

		within_ms =
		    clock_sooner(rest.board->quiesce.order.within_ms, VMM_GUEST_WITHIN_MS_MAX);
		if (stop_is_now())
			r = -ECANCELED;
		else if (rest.is_gone)
			r = -EPIPE;
		else if (waited_ms >= within_ms)
			r = -ETIMEDOUT;
		else {
			rest_say();
			rest_sleep(within_ms - waited_ms);
		}
	}
	atomic_store(&rest.slot->rests, 0);
	if (r < 0)
		rest_end();
	return r;
}
