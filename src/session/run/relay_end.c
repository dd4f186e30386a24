/*
 * relay_end: the ends of a session, and its timers.
 *
 * The end:
 *   - RUNNING until the main process ends. Neither end of file on its output nor
 *     EOF from the host ends anything.
 *   - Then DRAINING: until end of file on all outputs, or 100 ms with nothing to
 *     read, or 500 ms after the end, whichever is first. Time in which we could
 *     not read because the host takes nothing does not count as nothing to read.
 *   - Then CUT: what each output holds at that moment is sent, however long the host
 *     takes. (Of a durable session, what its journal has no room for waits for readers.)
 *   - A timeout kills the process tree (with a grace: SIGTERM first, and the kill at
 *     its end or when the main process has ended, whichever is first).
 *   - When the host has gone, the process group gets SIGHUP, then its input is closed, its
 *     output is read and dropped, and the tree is killed 2 s later.
 *   - Of a durable session it is when nobody has been attached for its time, and its
 *     output is kept as far as there is room.
 *   - In a cgroup the kill is done again every 10 ms until nobody is left, for at
 *     most 2 s.
 *   - A thread that has made us its tracer keeps its process from ending until we
 *     reap it. Only SIGCHLD tells of that, which each program's end sends too: a
 *     session of 500 ms begins to listen to it, and the shorter ones need not.
 *   - A main process that outlives SIGKILL by 2 s is stuck in the kernel; it is
 *     given up, and so is this worker after the session.
 *
 * SPDX-License-Identifier: MIT
 */
#include "session/run/relay_end.h"

#include <signal.h>

#include "platform/clock.h"
#include "platform/fd.h"
#include "platform/tracee.h"
#include "session/run/relay_durable.h"
#include "session/stop.h"

/* How long a program runs before what becomes of its threads is looked at. */
#define RELAY_WATCH_MS 500

/* How long a process that was killed may be stuck in the kernel. */
#define RELAY_STUCK_MS 2000

/* One write to cgroup.kill can miss a child that is being forked. */
#define RELAY_KILL_AGAIN_MS 10
#define RELAY_KILL_MAX_MS 2000

/* Between two looks for what is left of a process tree whose host has gone. */
#define RELAY_LOOK_MS 100

/* ---- the ends ---------------------------------------------------------- */

void
relay_set_reason(struct relay *relay, enum relay_reason reason)
{
	if (relay->end.reason == RELAY_EXITED)
		relay->end.reason = reason;
}

void
relay_set_timer(struct relay *relay, enum relay_timer timer, uint64_t at_ms)
{
	relay->at_ms[timer] = at_ms;
	relay->next_ms = clock_sooner(relay->next_ms, at_ms);
}

void
relay_stop_timer(struct relay *relay, enum relay_timer timer)
{
	relay->at_ms[timer] = CLOCK_NEVER;
}

void
relay_end_init(struct relay *relay, uint64_t now)
{
	uint64_t timeout = relay->options->timeout_ms;

	relay->next_ms = CLOCK_NEVER;
	for (int i = 0; i < RELAY_TIMERS; i++)
		relay->at_ms[i] = CLOCK_NEVER;
	if (timeout > 0)
		relay_set_timer(relay, RELAY_TIMER_TIMEOUT, now + timeout);
	relay_set_timer(relay, RELAY_TIMER_WATCH, now + RELAY_WATCH_MS);
}

void
relay_kill(struct relay *relay, uint64_t now)
{
	process_tree_kill(relay->tree);
	relay->end.was_killed = true;
	if (relay->tree->cgroup_fd >= 0) {
		relay_set_timer(relay, RELAY_TIMER_KILL_AGAIN, now + RELAY_KILL_AGAIN_MS);
		relay->kill_until_ms = now + RELAY_KILL_MAX_MS;
	}
	relay_stop_timer(relay, RELAY_TIMER_TIMEOUT);
	relay_stop_timer(relay, RELAY_TIMER_KILL);
	if (relay->phase == RELAY_RUNNING)
		relay_set_timer(relay, RELAY_TIMER_STUCK, now + RELAY_STUCK_MS);
}

static void
relay_kill_again(struct relay *relay, uint64_t now)
{
	if (process_tree_is_empty(relay->tree) || now >= relay->kill_until_ms)
		return;
	process_tree_kill(relay->tree);
	relay_set_timer(relay, RELAY_TIMER_KILL_AGAIN, now + RELAY_KILL_AGAIN_MS);
}

/* Asks the program to end, with SIGNAL, also where it was stopped. */
static void
relay_ask_to_end(struct relay *relay, int signal, uint64_t kill_at_ms)
{
	process_tree_signal(relay->tree, signal);
	process_tree_signal(relay->tree, SIGCONT);
	if (!relay->end.was_killed && kill_at_ms < relay->at_ms[RELAY_TIMER_KILL])
		relay_set_timer(relay, RELAY_TIMER_KILL, kill_at_ms);
}

void
relay_break(struct relay *relay, int error, uint64_t now)
{
	if (error == 0 || relay->end.error < 0 || relay->end.is_gone)
		return;
	relay->end.error = error;
	relay_set_reason(relay, RELAY_BROKEN);
	if (!relay->end.was_killed)
		relay_kill(relay, now);
}

void
relay_lose_host(struct relay *relay, uint64_t now)
{
	if (relay->end.is_gone)
		return;
	relay->end.is_gone = true;
	relay_set_reason(relay, relay->owner == NULL ? RELAY_DISCONNECTED : RELAY_ABANDONED);
	if (relay->owner == NULL) {
		output_drop(&relay->output);
		conn_lose_host(relay->conn, relay->options->duplicates_fd);
	}
	/* In this order: who takes the end of the input for all of it is not to go on by that. */
	relay_ask_to_end(relay, SIGHUP, now + VMM_GUEST_HANGUP_GRACE_MS);
	input_close(&relay->input);
	if (relay->phase != RELAY_RUNNING)
		relay_set_timer(relay, RELAY_TIMER_LOOK, now);
}

static void
relay_time_out(struct relay *relay, uint64_t now)
{
	uint64_t grace = relay->options->grace_ms;

	relay_set_reason(relay, RELAY_TIMEOUT);
	if (grace == 0)
		relay_kill(relay, now);
	else
		relay_ask_to_end(relay, SIGTERM, now + grace);
}

void
relay_shut_down(struct relay *relay, uint64_t now)
{
	if (relay->is_shut_down)
		return;
	relay->is_shut_down = true;
	/* A program in the grace of its timeout ends by this. */
	if (relay->end.reason == RELAY_TIMEOUT)
		relay->end.reason = RELAY_SHUTDOWN;
	relay_set_reason(relay, RELAY_SHUTDOWN);
	relay_ask_to_end(relay, SIGTERM, now + stop_grace_ms());
}

/* With host and main process gone, the rest of the process tree is looked for: only
 * what is there has its two seconds, and a worker that waits for nobody is wasted. */
static void
relay_look_for_rest(struct relay *relay, uint64_t now)
{
	if (process_tree_is_empty(relay->tree))
		relay_stop_timer(relay, RELAY_TIMER_KILL);
	if (relay->at_ms[RELAY_TIMER_KILL] != CLOCK_NEVER)
		relay_set_timer(relay, RELAY_TIMER_LOOK, now + RELAY_LOOK_MS);
}

/* The main process has ended. */
static void
relay_begin_drain(struct relay *relay, uint64_t now)
{
	relay->phase = RELAY_DRAINING;
	relay->ended_ms = now;
	relay->is_watching = false;
	relay_stop_timer(relay, RELAY_TIMER_WATCH);
	relay_stop_timer(relay, RELAY_TIMER_TIMEOUT);
	relay_stop_timer(relay, RELAY_TIMER_STUCK);
	relay_set_timer(relay, RELAY_TIMER_DRAINED, now + VMM_GUEST_DRAIN_MAX_MS);
	fd_close(&relay->tty_slave_fd);
	/* What was to be killed is killed now; only a host that has gone leaves the rest
	 * of the process tree its two seconds. */
	if (relay->end.is_gone)
		relay_set_timer(relay, RELAY_TIMER_LOOK, now);
	else if (relay->at_ms[RELAY_TIMER_KILL] != CLOCK_NEVER)
		relay_kill(relay, now);
}

void
relay_see_end(struct relay *relay, uint64_t now)
{
	if (!process_tree_has_ended(relay->tree, &relay->end.end)) {
		if (!process_tree_has_ended_hidden(relay->tree, &relay->end.end))
			return;
		relay->end.is_stuck = true;
	}
	relay_begin_drain(relay, now);
}

/* The main process is stuck in the kernel. */
static void
relay_give_up(struct relay *relay, uint64_t now)
{
	relay->end.is_stuck = true;
	relay->end.end = (struct process_tree_end){ .signaled = true, .signal = SIGKILL };
	relay_begin_drain(relay, now);
}

static void
relay_cut(struct relay *relay, uint64_t now)
{
	(void)now;
	relay->phase = RELAY_CUT;
	relay_stop_timer(relay, RELAY_TIMER_DRAINED);
	output_cut(&relay->output);
	if (relay->owner != NULL)
		relay_durable_drain(relay);
}

/* When the output will have been quiet for long enough, if nothing more comes. */
static uint64_t
relay_quiet_at(const struct relay *relay)
{
	uint64_t since = relay->output.quiet_since_ms;

	if (!output_may_read(&relay->output) || !output_is_open(&relay->output))
		return CLOCK_NEVER;
	return (since > relay->ended_ms ? since : relay->ended_ms) + VMM_GUEST_DRAIN_QUIET_MS;
}

static void
relay_see_quiet(struct relay *relay, uint64_t now)
{
	if (relay->phase == RELAY_DRAINING && now >= relay_quiet_at(relay))
		relay_cut(relay, now);
}

/* What has become of the children so far is looked at once; from here on each change
 * wakes us. */
static void
relay_begin_watch(struct relay *relay, uint64_t now)
{
	(void)now;
	relay->is_watching = true;
	tracee_settle(relay->tree->pid);
}

/* ---- the timers -------------------------------------------------------- */

/* What is done when a timer is due, in this order. It is no longer set by then. */
static void (*const relay_due[RELAY_TIMERS])(struct relay *relay, uint64_t now) = {
	[RELAY_TIMER_WATCH] = relay_begin_watch,
	[RELAY_TIMER_TIMEOUT] = relay_time_out,
	[RELAY_TIMER_KILL] = relay_kill,
	[RELAY_TIMER_KILL_AGAIN] = relay_kill_again,
	[RELAY_TIMER_STUCK] = relay_give_up,
	[RELAY_TIMER_LOOK] = relay_look_for_rest,
	[RELAY_TIMER_QUIET] = relay_see_quiet,
	[RELAY_TIMER_DRAINED] = relay_cut,
	[RELAY_TIMER_ALONE] = relay_lose_host,
	[RELAY_TIMER_LINGER] = relay_durable_hang_up,
	[RELAY_TIMER_PACE] = relay_durable_go_ahead,
};

void
relay_meet_timers(struct relay *relay, uint64_t now)
{
	if (now < relay->next_ms)
		return;
	for (int i = 0; i < RELAY_TIMERS; i++) {
		if (now < relay->at_ms[i])
			continue;
		relay->at_ms[i] = CLOCK_NEVER;
		relay_due[i](relay, now);
	}
	relay->next_ms = CLOCK_NEVER;
	for (int i = 0; i < RELAY_TIMERS; i++)
		relay->next_ms = clock_sooner(relay->next_ms, relay->at_ms[i]);
}

uint64_t
relay_next_turn(struct relay *relay)
{
	/* What was there at the cut is read without asking. */
	if (relay->phase == RELAY_CUT && output_may_read(&relay->output) &&
	    output_is_open(&relay->output))
		return 0;
	if (relay->owner != NULL && owner_has_more(relay->owner))
		return 0;
	if (relay->phase == RELAY_DRAINING)
		relay_set_timer(relay, RELAY_TIMER_QUIET, relay_quiet_at(relay));
	return relay->next_ms;
}
