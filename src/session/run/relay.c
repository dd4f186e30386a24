/*
 * relay: the one loop that moves bytes between the host and a running program, and
 * the ends of a session.
 *
 * What it waits for, all at once: the host (its frames, room for ours, its
 * going), the program's output, room for the program's input, the end of the
 * main process (pidfd), a signal to this worker, and the next of its timers.
 * It never blocks anywhere else, and never polls without one of them. Its timers go by
 * the time that the guest ran (run_clock.h).
 *
 * From the program to the host: see output.h. From the host to the program: see
 * host_frames.h and input.h.
 *
 * The end:
 *   - RUNNING until the main process ends. Neither end of file on its output nor
 *     EOF from the host ends anything.
 *   - Then DRAINING: until end of file on all outputs, or 100 ms with nothing to
 *     read, or 500 ms after the end, whichever is first. Time in which we could
 *     not read because the host takes nothing does not count as nothing to read.
 *   - Then CUT: what each output holds at that moment is sent, however long the host
 *     takes.
 *   - A timeout kills the process tree (with a grace: SIGTERM first, and the kill at
 *     its end or when the main process has ended, whichever is first).
 *   - When the host has gone, the process group gets SIGHUP, its input is closed, its
 *     output is read and dropped, and the tree is killed 2 s later.
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
#include "session/run/relay.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>

#include "platform/clock.h"
#include "platform/fd.h"
#include "platform/tracee.h"
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

enum {
	RELAY_POLL_CONN,
	RELAY_POLL_PID,
	RELAY_POLL_INPUT,
	RELAY_POLL_OUTPUT,
	RELAY_POLL_COUNT = RELAY_POLL_OUTPUT + OUTPUT_STREAMS
};

/* ---- the ends ---------------------------------------------------------- */

/* The first reason stands. */
static void
relay_set_reason(struct relay *relay, enum relay_reason reason)
{
	if (relay->end.reason == RELAY_EXITED)
		relay->end.reason = reason;
}

static void
relay_set_timer(struct relay *relay, enum relay_timer timer, uint64_t at_ms)
{
	relay->at_ms[timer] = at_ms;
	relay->next_ms = clock_sooner(relay->next_ms, at_ms);
}

static void
relay_stop_timer(struct relay *relay, enum relay_timer timer)
{
	relay->at_ms[timer] = CLOCK_NEVER;
}

/* Kills everything that the session started. */
static void
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

/* A stream of the program fails with ERROR (-errno): what was on it is lost, and an end
 * as if all were well would hide that. Where the host has gone there is no one to tell. */
static void
relay_break(struct relay *relay, int error, uint64_t now)
{
	if (error == 0 || relay->end.error < 0 || relay->end.is_gone)
		return;
	relay->end.error = error;
	relay_set_reason(relay, RELAY_BROKEN);
	if (!relay->end.was_killed)
		relay_kill(relay, now);
}

static void
relay_lose_host(struct relay *relay, uint64_t now)
{
	if (relay->end.is_gone)
		return;
	relay->end.is_gone = true;
	relay_set_reason(relay, RELAY_DISCONNECTED);
	output_drop(&relay->output);
	input_close(&relay->input);
	relay_ask_to_end(relay, SIGHUP, now + VMM_GUEST_HANGUP_GRACE_MS);
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

static void
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

/* The pidfd has shown something: the main process may have ended. */
static void
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
}

/* When the output will have been quiet for long enough, if nothing more comes. */
static uint64_t
relay_quiet_at(const struct relay *relay)
{
	uint64_t since = relay->output.quiet_since_ms;

	if (conn_is_pushing(relay->conn) || !output_is_open(&relay->output))
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
};

static void
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

/* When the next turn is to begin at the latest. */
static uint64_t
relay_next_turn(struct relay *relay)
{
	/* What was there at the cut is read without asking. */
	if (relay->phase == RELAY_CUT && !conn_is_pushing(relay->conn) &&
	    output_is_open(&relay->output))
		return 0;
	if (relay->phase == RELAY_DRAINING)
		relay_set_timer(relay, RELAY_TIMER_QUIET, relay_quiet_at(relay));
	return relay->next_ms;
}

/* ---- the loop ---------------------------------------------------------- */

static void
relay_read_host(struct relay *relay, short shown, uint64_t now)
{
	ssize_t n = 0;

	if (shown & POLLIN)
		n = conn_fill(relay->conn);
	if (n == -EPIPE || shown & (POLLRDHUP | POLLHUP | POLLERR)) {
		relay_lose_host(relay, now);
		return;
	}
	if (host_frames_take(&relay->frames) == -EMSGSIZE) {
		relay_set_reason(relay, RELAY_PROTOCOL);
		relay_kill(relay, now);
	}
}

static void
relay_prepare(const struct relay *relay, struct pollfd *polls)
{
	bool is_pushing = conn_is_pushing(relay->conn);
	bool reads_host = !host_frames_must_wait(&relay->frames);

	polls[RELAY_POLL_CONN].fd = relay->end.is_gone ? -1 : conn_fd(relay->conn);
	polls[RELAY_POLL_CONN].events =
	    (short)(POLLRDHUP | (reads_host ? POLLIN : 0) | (is_pushing ? POLLOUT : 0));
	polls[RELAY_POLL_PID].fd = relay->phase == RELAY_RUNNING ? relay->tree->pid_fd : -1;
	polls[RELAY_POLL_PID].events = POLLIN;
	polls[RELAY_POLL_INPUT].fd = input_wants_to_write(&relay->input) ? relay->input.fd : -1;
	polls[RELAY_POLL_INPUT].events = POLLOUT;
	for (int i = 0; i < OUTPUT_STREAMS; i++) {
		polls[RELAY_POLL_OUTPUT + i].fd = is_pushing ? -1 : relay->output.streams[i].fd;
		polls[RELAY_POLL_OUTPUT + i].events = POLLIN;
	}
}

/* Waits for the next turn. Returns the number of POLLS that show something, or -1. */
static int
relay_wait(struct relay *relay, struct pollfd *polls)
{
	struct timespec left;
	int n;

	relay_prepare(relay, polls);
	/* No watchdog runs: what is waited for is the program. */
	n = ppoll(polls, RELAY_POLL_COUNT,
	    clock_left(run_clock_plan(&relay->clock, relay_next_turn(relay)), &left),
	    relay->is_watching ? stop_watch_mask() : stop_wait_mask());
	if (n < 0 && relay->is_watching)
		tracee_settle(relay->tree->pid);
	return n;
}

static void
relay_pump(struct relay *relay, const struct pollfd *polls, uint64_t now)
{
	bool ready[OUTPUT_STREAMS];

	for (int i = 0; i < OUTPUT_STREAMS; i++)
		ready[i] = polls[RELAY_POLL_OUTPUT + i].revents != 0 || relay->phase == RELAY_CUT;
	if (output_pump(&relay->output, ready, now) < 0)
		relay_lose_host(relay, now);
	relay_break(relay, relay->output.error, now);
}

static void
relay_turn(struct relay *relay)
{
	struct pollfd polls[RELAY_POLL_COUNT] = { 0 };
	uint64_t now;
	int n;

	/* A process that is left sees the end of its input. Where none is left there is no
	 * further turn, and relay_close() does it after EXIT. */
	if (relay->phase != RELAY_RUNNING)
		input_close(&relay->input);
	n = relay_wait(relay, polls);
	now = run_clock_look(&relay->clock, clock_mono_ms());
	if (n > 0) {
		if (polls[RELAY_POLL_PID].revents != 0)
			relay_see_end(relay, now);
		if (polls[RELAY_POLL_CONN].revents != 0)
			relay_read_host(relay, polls[RELAY_POLL_CONN].revents, now);
		if (polls[RELAY_POLL_INPUT].revents != 0) {
			input_flush(&relay->input);
			relay_read_host(relay, 0, now);
		}
		if (conn_is_pushing(relay->conn) && output_push(&relay->output, now) < 0)
			relay_lose_host(relay, now);
	}
	relay_break(relay, relay->input.error, now);
	relay_pump(relay, polls, now);
	if (stop_is_now())
		relay_shut_down(relay, now);
	/* From then on it is as if we had done it: again until nobody is left. */
	if (process_tree_obey_signal_request(relay->tree))
		relay_kill(relay, now);
	relay_meet_timers(relay, now);
}

static bool
relay_is_over(const struct relay *relay)
{
	if (relay->phase == RELAY_RUNNING || relay->at_ms[RELAY_TIMER_KILL_AGAIN] != CLOCK_NEVER)
		return false;
	if (relay->end.is_gone)
		return relay->at_ms[RELAY_TIMER_KILL] == CLOCK_NEVER;
	return !conn_is_pushing(relay->conn) && !output_is_open(&relay->output);
}

void
relay_run(struct relay *relay, const struct relay_options *options, struct relay_end *ret)
{
	uint64_t now = clock_mono_ms();

	*relay = (struct relay){
		.options = options,
		.conn = options->conn,
		.tree = options->tree,
		.tty_slave_fd = options->tty_slave_fd,
		.next_ms = CLOCK_NEVER,
	};
	run_clock_init(&relay->clock, now);
	for (int i = 0; i < RELAY_TIMERS; i++)
		relay->at_ms[i] = CLOCK_NEVER;
	if (options->timeout_ms > 0)
		relay_set_timer(relay, RELAY_TIMER_TIMEOUT, now + options->timeout_ms);
	relay_set_timer(relay, RELAY_TIMER_WATCH, now + RELAY_WATCH_MS);
	output_init(
	    &relay->output, options->conn, options->tty_fd, options->stdout_fd, options->stderr_fd);
	input_init(&relay->input, options->stdin_fd, options->tty_fd, conn_stall_ms(options->conn));
	relay->frames = (struct host_frames){
		.conn = options->conn,
		.input = &relay->input,
		.tree = options->tree,
	};
	/* Frames may have come along with START. */
	relay_read_host(relay, 0, now);
	while (!relay_is_over(relay))
		relay_turn(relay);
	relay->end.output_held = relay->output.was_held;
	*ret = relay->end;
}

void
relay_close(struct relay *relay)
{
	output_close(&relay->output);
	input_close(&relay->input);
	fd_close(&relay->tty_slave_fd);
}
