/*
 * SPDX-License-Identifier: MIT
 */
#include "session/durable/attach_run.h"

#include <errno.h>
#include <poll.h>

#include "platform/clock.h"
#include "session/rest.h"
#include "session/stop.h"
#include "shared/admission.h"
#include "shared/attachment.h"
#include "shared/holder_place.h"

/* Told to stop, the session has its grace and some time to be killed and reaped in; then a
 * host that takes nothing has this long to take `detached`. */
#define ATTACH_RUN_STOP_MS 2000

/* ---- what has changed ------------------------------------------------------ */

/* The place laid by is the holder's: where two took the input at one moment, one may have come
 * by the input, and the other by the place. The one that has lost either looks on like others. */
static void
attach_run_keep_place(struct attach_run *run)
{
	struct session *session = run->follow->session;
	const struct journal *journal = run->follow->journal;
	bool is_used;

	(void)follow_has_lost_input(run->follow);
	if (!run->has_holder_place)
		return;
	is_used = holder_place_is_used_by(journal, session->slot_index);
	if (run->follow->is_holder && (is_used || holder_place_take(journal, session->slot_index)))
		return;
	if (is_used)
		holder_place_leave(session->board, journal, session->slot_index);
	run->has_holder_place = false;
	if (!admission_take(session->board, session->slot_index, ADMISSION_LOOK))
		follow_detach(run->follow, "no place");
}

static void
attach_run_take_input(struct attach_run *run)
{
	int r;

	if (run->follow->detaches)
		return;
	r = attach_input_take(&run->input);
	if (r == -EMSGSIZE)
		follow_detach(
		    run->follow, "a frame was announced with more bytes than it may have");
	else if (r < 0)
		follow_detach(run->follow, "the input can't be passed on");
}

/* Whether nothing that the host sent before it went is still to become the session's. */
static bool
attach_run_is_handed_over(const struct attach_run *run)
{
	const struct session *session = run->follow->session;
	const struct journal *journal = run->follow->journal;

	if (run->input.waits)
		return false;
	return !journal_is_running(journal) || !run->follow->is_holder ||
	       (attachment_is_settled(session->board, session->slot_index, journal) &&
		   !attachment_has_signals(session->board, session->slot_index));
}

/* The host leaves, by DETACH or by closing. */
static void
attach_run_see_leaving(struct attach_run *run)
{
	if (run->has_host_left)
		follow_leave(run->follow);
	if ((!run->input.has_detached && !run->is_read_out) || !attach_run_is_handed_over(run))
		return;
	follow_detach(run->follow, NULL);
}

/* Nobody takes anything any more; what was sent before may still be read. */
static void
attach_run_lose_host(struct attach_run *run)
{
	run->is_deaf = true;
	run->has_host_left = true;
	conn_stop_pushing(&run->follow->session->conn);
}

static void
attach_run_send(struct attach_run *run)
{
	int r = run->is_deaf ? 0 : follow_push(run->follow);

	if (r == -EPIPE)
		attach_run_lose_host(run);
	else if (r != 0 || (run->is_deaf && run->follow->detaches))
		run->is_over = true;
}

/* Does all that can be done without waiting. */
static void
attach_run_step(struct attach_run *run)
{
	attach_run_keep_place(run);
	attach_run_take_input(run);
	attach_run_see_leaving(run);
	attach_run_send(run);
}

/* ---- time ------------------------------------------------------------------ */

/* Whether a host that takes nothing is given up after a time. */
static bool
attach_run_is_pressed(const struct attach_run *run)
{
	return follow_wants_room(run->follow) &&
	       (run->has_host_left || !journal_is_kept(run->follow->journal));
}

static void
attach_run_meet_time(struct attach_run *run)
{
	int stall_ms = conn_stall_ms(&run->follow->session->conn);
	uint64_t now = clock_mono_ms();

	if (stop_is_now() && run->stop_at_ms == CLOCK_NEVER)
		run->stop_at_ms = now + stop_grace_ms() + ATTACH_RUN_STOP_MS;
	if (!attach_run_is_pressed(run) || stall_ms < 0)
		run->stall_at_ms = CLOCK_NEVER;
	else if (run->stall_at_ms == CLOCK_NEVER)
		run->stall_at_ms = now + (uint64_t)stall_ms;
	if (now >= run->stall_at_ms)
		run->is_over = true;
	if (now < run->stop_at_ms)
		return;
	if (run->follow->detaches)
		run->is_over = true;
	follow_detach(run->follow, "the agent is stopping");
	run->stop_at_ms = now + ATTACH_RUN_STOP_MS;
}

/* ---- the loop ---------------------------------------------------------------- */

/* What is worth a wake-up. */
static uint32_t
attach_run_wishes(const struct attach_run *run)
{
	bool leaves = run->input.has_detached || run->is_read_out;
	uint32_t wishes = ATTACHMENT_CHANGE;

	if (!follow_wants_room(run->follow) && !run->has_host_left)
		wishes |= ATTACHMENT_OUTPUT;
	if (run->input.waits || leaves)
		wishes |= ATTACHMENT_INPUT;
	return wishes;
}

/* Whether what the host sends is taken in. What waits stands in the buffer. */
static bool
attach_run_reads(const struct attach_run *run)
{
	return !run->is_read_out && !run->input.waits && !run->input.has_detached &&
	       !run->follow->detaches;
}

static bool
attach_run_has_more(const struct attach_run *run)
{
	return !run->is_deaf && follow_has_more(run->follow);
}

static void
attach_run_read_host(struct attach_run *run, short shown)
{
	struct conn *conn = &run->follow->session->conn;
	ssize_t r;

	if (shown & POLLOUT)
		run->stall_at_ms = CLOCK_NEVER;
	if (shown & (POLLHUP | POLLERR))
		attach_run_lose_host(run);
	if (shown & POLLRDHUP)
		run->has_host_left = true;
	if (((shown & ~POLLOUT) == 0 && !run->is_deaf) || !attach_run_reads(run))
		return;
	r = conn_fill(conn);
	/* Of one that takes nothing what has come is all that counts: it may send for ever. */
	run->is_read_out = r == -EPIPE || (r == -EAGAIN && run->is_deaf);
	run->has_host_left |= run->is_read_out;
}

/* Waits for the host, and for a signal. With SLEEPS nothing else is to be done until then. */
static void
attach_run_wait(struct attach_run *run, bool sleeps)
{
	const struct follow *follow = run->follow;
	struct pollfd wait = { .fd = conn_fd(&follow->session->conn) };
	bool is_quick = !sleeps || (run->is_deaf && attach_run_reads(run));
	uint64_t deadline = is_quick ? 0 : clock_sooner(run->stop_at_ms, run->stall_at_ms);

	if (attach_run_reads(run))
		wait.events |= POLLIN;
	if (!run->has_host_left)
		wait.events |= POLLRDHUP;
	if (follow_wants_room(follow) && !run->is_deaf)
		wait.events |= POLLOUT;
	if (wait.events == 0)
		wait.fd = -1;
	if (stop_poll(&wait, 1, deadline, true) >= 0)
		attach_run_read_host(run, wait.revents);
}

static void
attach_run_turn(struct attach_run *run)
{
	struct session *session = run->follow->session;
	uint32_t wishes;
	bool sleeps;

	rest_point();
	wishes = attach_run_wishes(run);
	sleeps = !attach_run_has_more(run);
	/* What changes from here on wakes us, and what had changed before is seen. */
	if (sleeps) {
		attachment_sleep(session->board, session->slot_index, wishes);
		attach_run_step(run);
	}
	attach_run_meet_time(run);
	sleeps = sleeps && attach_run_wishes(run) == wishes && !attach_run_has_more(run);
	if (!run->is_over)
		attach_run_wait(run, sleeps);
	attachment_rise(session->board, session->slot_index);
	if (!run->is_over)
		attach_run_step(run);
}

void
attach_run(struct follow *follow, bool has_holder_place)
{
	struct attach_run run = {
		.follow = follow,
		.input = { .follow = follow,
		    .is_in_frame = conn_in_payload(&follow->session->conn) },
		.has_holder_place = has_holder_place,
		.stop_at_ms = CLOCK_NEVER,
		.stall_at_ms = CLOCK_NEVER,
	};

	attach_run_step(&run);
	while (!run.is_over)
		attach_run_turn(&run);
}
