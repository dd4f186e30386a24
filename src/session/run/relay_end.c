/*
 * relay_end: the ends of a session, by its program, its host, its timeout or a
 * shutdown, and the deadlines on the way there. The rules stand in relay.c.
 *
 * SPDX-License-Identifier: MIT
 */
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>

#include "platform/clock.h"
#include "platform/fd.h"
#include "platform/tracee.h"
#include "session/run/relay_state.h"
#include "session/stop.h"

/* A terminal holds far less than this; a program that writes to it for ever must
 * not keep the end away. */
#define RELAY_TTY_LEFT_MAX (1024 * 1024)

/* How long a process that was killed may be stuck in the kernel. */
#define RELAY_STUCK_MS 2000

/* One write to cgroup.kill can miss a child that is being forked. */
#define RELAY_KILL_AGAIN_MS 10
#define RELAY_KILL_MAX_MS 2000

/* Between two looks for what is left of a group whose host has gone. */
#define RELAY_LOOK_MS 100

void
relay_kill(struct relay *relay, uint64_t now)
{
	process_tree_kill(relay->tree);
	relay->end.was_killed = true;
	if (relay->tree->cgroup_fd >= 0) {
		relay->kill_again_ms = now + RELAY_KILL_AGAIN_MS;
		relay->kill_until_ms = now + RELAY_KILL_MAX_MS;
	}
	relay->term_at_ms = CLOCK_NEVER;
	relay->kill_at_ms = CLOCK_NEVER;
	if (relay->phase == RELAY_RUNNING)
		relay->stuck_at_ms = now + RELAY_STUCK_MS;
}

void
relay_set_reason(struct relay *relay, enum relay_reason reason)
{
	if (relay->end.reason == RELAY_EXITED)
		relay->end.reason = reason;
}

void
relay_break(struct relay *relay, int error, uint64_t now)
{
	if (relay->end.reason != RELAY_EXITED)
		return;
	relay->end.reason = RELAY_BROKEN;
	relay->end.error = -error;
	relay_kill(relay, now);
}

/* The host has gone. */
void
relay_lose_host(struct relay *relay, uint64_t now)
{
	if (relay->end.is_gone)
		return;
	relay->end.is_gone = true;
	relay_set_reason(relay, RELAY_DISCONNECTED);
	relay->conn->tx_head = relay->conn->tx_tail = 0;
	input_close(&relay->input);
	process_tree_signal(relay->tree, SIGHUP);
	process_tree_signal(relay->tree, SIGCONT);
	if (!relay->end.was_killed && relay->kill_at_ms > now + VMM_GUEST_HANGUP_GRACE_MS)
		relay->kill_at_ms = now + VMM_GUEST_HANGUP_GRACE_MS;
}

static void
relay_time_out(struct relay *relay, uint64_t now)
{
	uint64_t grace = relay->options->grace_ms;

	relay_set_reason(relay, RELAY_TIMEOUT);
	relay->term_at_ms = CLOCK_NEVER;
	if (grace == 0) {
		relay_kill(relay, now);
		return;
	}
	process_tree_signal(relay->tree, SIGTERM);
	process_tree_signal(relay->tree, SIGCONT);
	if (relay->kill_at_ms > now + grace)
		relay->kill_at_ms = now + grace;
}

static void
relay_shut_down(struct relay *relay, uint64_t now)
{
	if (relay->end.reason == RELAY_SHUTDOWN)
		return;
	relay->end.reason = RELAY_SHUTDOWN;
	process_tree_signal(relay->tree, SIGTERM);
	process_tree_signal(relay->tree, SIGCONT);
	if (!relay->end.was_killed && relay->kill_at_ms > now + stop_grace_ms())
		relay->kill_at_ms = now + stop_grace_ms();
}

static void
relay_kill_again(struct relay *relay, uint64_t now)
{
	if (process_tree_is_empty(relay->tree) || now >= relay->kill_until_ms) {
		relay->kill_again_ms = CLOCK_NEVER;
		return;
	}
	process_tree_kill(relay->tree);
	relay->kill_again_ms = now + RELAY_KILL_AGAIN_MS;
}

/* With host and main process gone, the rest of the group is looked for: only what
 * is there has its two seconds, and a worker that waits for nobody is wasted. */
static void
relay_look_for_rest(struct relay *relay, uint64_t now)
{
	if (process_tree_is_empty(relay->tree))
		relay->kill_at_ms = CLOCK_NEVER;
	relay->look_at_ms = relay->kill_at_ms == CLOCK_NEVER ? CLOCK_NEVER : now + RELAY_LOOK_MS;
}

/* The main process has ended. */
static void
relay_begin_drain(struct relay *relay, uint64_t now)
{
	relay->phase = RELAY_DRAINING;
	relay->is_watching = false;
	relay->watch_at_ms = CLOCK_NEVER;
	relay->term_at_ms = CLOCK_NEVER;
	relay->stuck_at_ms = CLOCK_NEVER;
	relay->quiet_since_ms = now;
	relay->drain_end_ms = now + VMM_GUEST_DRAIN_MAX_MS;
	fd_close(&relay->tty_slave_fd);
	/* Whoever was to be killed is killed now; only a host that has gone leaves
	 * the rest of the group its two seconds. */
	if (relay->kill_at_ms != CLOCK_NEVER && !relay->end.is_gone)
		relay_kill(relay, now);
}

/* The pidfd says that the main process has ended. */
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

bool
relay_has_output(const struct relay *relay)
{
	for (int i = 0; i < RELAY_SOURCES; i++) {
		if (relay->sources[i].fd >= 0)
			return true;
	}
	return false;
}

/* Whether somebody can still write to it. */
static bool
relay_is_held(int fd)
{
	struct pollfd look = { .fd = fd };

	return poll(&look, 1, 0) == 0;
}

/* Takes note of what is in the outputs at this moment: that much is still sent. */
static void
relay_cut(struct relay *relay)
{
	relay->phase = RELAY_CUT;
	for (int i = 0; i < RELAY_SOURCES; i++) {
		struct relay_source *source = &relay->sources[i];
		int available = 0;

		if (source->fd < 0)
			continue;
		if (relay_is_held(source->fd))
			relay->end.output_held = true;
		if (relay->options->tty_fd >= 0 || ioctl(source->fd, FIONREAD, &available) < 0)
			source->left = RELAY_TTY_LEFT_MAX;
		else
			source->left = (size_t)available;
		if (source->left == 0)
			fd_close(&source->fd);
	}
}

/* What has become of whom so far is looked at once; from here on each change wakes us. */
static void
relay_begin_watch(struct relay *relay)
{
	relay->is_watching = true;
	relay->watch_at_ms = CLOCK_NEVER;
	tracee_settle(relay->tree->pid);
}

void
relay_meet_deadlines(struct relay *relay, uint64_t now)
{
	if (now >= relay->watch_at_ms)
		relay_begin_watch(relay);
	if (stop_is_now())
		relay_shut_down(relay, now);
	/* From then on it is as if we had done it: again until nobody is left. */
	if (process_tree_obey_signal_request(relay->tree))
		relay_kill(relay, now);
	if (now >= relay->term_at_ms)
		relay_time_out(relay, now);
	if (now >= relay->kill_at_ms)
		relay_kill(relay, now);
	if (now >= relay->kill_again_ms)
		relay_kill_again(relay, now);
	if (now >= relay->stuck_at_ms && relay->phase == RELAY_RUNNING) {
		relay->end.is_stuck = true;
		relay->end.end = (struct process_tree_end){ .signaled = true, .signal = SIGKILL };
		relay_begin_drain(relay, now);
	}
	if (relay->end.is_gone && relay->phase != RELAY_RUNNING && now >= relay->look_at_ms)
		relay_look_for_rest(relay, now);
	if (relay->phase != RELAY_DRAINING || !relay_has_output(relay))
		return;
	if (now >= relay->drain_end_ms ||
	    (!conn_is_pushing(relay->conn) &&
		now >= relay->quiet_since_ms + VMM_GUEST_DRAIN_QUIET_MS))
		relay_cut(relay);
}

uint64_t
relay_next_deadline(const struct relay *relay)
{
	uint64_t next = relay->term_at_ms;

	if (relay->watch_at_ms < next)
		next = relay->watch_at_ms;
	if (relay->kill_at_ms < next)
		next = relay->kill_at_ms;
	if (relay->kill_again_ms < next)
		next = relay->kill_again_ms;
	if (relay->stuck_at_ms < next)
		next = relay->stuck_at_ms;
	if (relay->end.is_gone && relay->phase != RELAY_RUNNING && relay->look_at_ms < next)
		next = relay->look_at_ms;
	if (relay->phase == RELAY_CUT && !conn_is_pushing(relay->conn) && relay_has_output(relay))
		return 0;
	if (relay->phase != RELAY_DRAINING || !relay_has_output(relay))
		return next;
	if (relay->drain_end_ms < next)
		next = relay->drain_end_ms;
	if (!conn_is_pushing(relay->conn) &&
	    relay->quiet_since_ms + VMM_GUEST_DRAIN_QUIET_MS < next)
		next = relay->quiet_since_ms + VMM_GUEST_DRAIN_QUIET_MS;
	return next;
}
