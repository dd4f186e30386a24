/*
 * relay: the one loop that moves bytes between the host and a running program.
 *
 * What it waits for, all at once: the host (its frames, room for ours, its
 * going), the program's output, room for the program's input, the end of the
 * main process (pidfd), a signal to this worker, and the next of its deadlines.
 * It never blocks anywhere else, and never polls without one of them.
 *
 * From the program to the host:
 *   - At most one frame is under way. While the host does not take it, nothing
 *     more is read from the program: back pressure stops the program, not us.
 *   - Standard output and error take turns.
 *
 * From the host to the program: see input.h.
 *
 * The end:
 *   - RUNNING until the main process ends. Neither end of file on its output nor
 *     EOF from the host ends anything.
 *   - Then DRAINING: until end of file on all outputs, or 100 ms with nothing to
 *     read, or 500 ms after the end, whichever is first. Time in which we could
 *     not read because the host takes nothing does not count as nothing to read.
 *   - Then CUT: what each output holds at that moment (FIONREAD; a terminal is
 *     read until it is empty) is sent, however long the host takes.
 *   - A timeout kills the group (with a grace: SIGTERM first, and the kill at its
 *     end or when the main process has ended, whichever is first).
 *   - When the host has gone, the group gets SIGHUP, its input is closed, its
 *     output is read and dropped, and it is killed 2 s later.
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
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include "platform/clock.h"
#include "platform/fd.h"
#include "platform/tracee.h"
#include "session/run/relay_state.h"
#include "session/stop.h"

/* A pipe that gave so much in one read is made larger: the program has volume. */
#define RELAY_PIPE_FULL (64 * 1024)
#define RELAY_PIPE_LARGE (1024 * 1024)

/* How long a program runs before what becomes of its threads is looked at. */
#define RELAY_WATCH_MS 500

enum {
	RELAY_POLL_CONN,
	RELAY_POLL_PID,
	RELAY_POLL_INPUT,
	RELAY_POLL_SOURCE,
	RELAY_POLL_COUNT = RELAY_POLL_SOURCE + RELAY_SOURCES
};

static struct relay relay_running;

/* ---- output ------------------------------------------------------------ */

/* A read that gave nothing, with ERROR, or 0 for end of file. */
static void
relay_read_nothing(struct relay *relay, struct relay_source *source, int error, uint64_t now)
{
	enum io_side side = relay->options->tty_fd >= 0 ? IO_TERMINAL : IO_PIPE;
	enum io_meaning meaning = error == 0 ? IO_GONE : io_error_read(side, error);

	if (meaning == IO_NOT_NOW && relay->phase != RELAY_CUT)
		return;
	/* What is there and can't be read is not quiet. */
	relay->quiet_since_ms = meaning == IO_NO_MEMORY ? now : relay->quiet_since_ms;
	if (meaning == IO_NO_MEMORY && io_lack_bear(&relay->lack))
		return;
	if (meaning == IO_NO_MEMORY || meaning == IO_BROKEN)
		relay_break(relay, error, now);
	source->ended_fd = fd_steal(&source->fd);
}

/* Reads once. Returns how much there was; 0 for nothing now, or nothing ever
 * again. */
static size_t
relay_read(struct relay *relay, struct relay_source *source, uint64_t now)
{
	size_t max = VMM_GUEST_DATA_MAX;
	ssize_t n;

	if (relay->phase == RELAY_CUT && source->left < max)
		max = source->left;
	do {
		n = read(source->fd, conn_tx_buffer(), max);
	} while (n < 0 && errno == EINTR);
	if (n <= 0) {
		relay_read_nothing(relay, source, n < 0 ? errno : 0, now);
		return 0;
	}
	relay->lack.since_ms = 0;
	if (relay->phase == RELAY_CUT) {
		source->left -= (size_t)n;
		if (source->left == 0)
			fd_close(&source->fd);
	} else if (n == RELAY_PIPE_FULL && relay->options->tty_fd < 0) {
		(void)fcntl(source->fd, F_SETPIPE_SZ, RELAY_PIPE_LARGE);
	}
	return (size_t)n;
}

/* Sends what is under way on its way. */
static void
relay_push(struct relay *relay, uint64_t now)
{
	int r = conn_push(relay->conn);

	if (r == -EPIPE)
		relay_lose_host(relay, now);
	if (r == 0 && relay->phase == RELAY_DRAINING)
		relay->quiet_since_ms = now;
}

/* Reads from each source that is ready, as long as frames go out whole. */
static void
relay_pump(struct relay *relay, const bool *ready, uint64_t now)
{
	for (int i = 0; i < RELAY_SOURCES; i++) {
		struct relay_source *source = &relay->sources[i];
		size_t len;

		if (conn_is_pushing(relay->conn))
			return;
		if (source->fd < 0 || !ready[i])
			continue;
		len = relay_read(relay, source, now);
		if (len == 0)
			continue;
		relay->quiet_since_ms = now;
		if (relay->end.is_gone)
			continue;
		conn_begin_push(relay->conn, source->type, len, false);
		relay_push(relay, now);
	}
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
	if (input_take_frames(&relay->input, relay->conn) == -EMSGSIZE) {
		relay_set_reason(relay, RELAY_PROTOCOL);
		relay_kill(relay, now);
		relay->input.type = 0;
		relay->conn->payload_left = 0;
		relay->conn->rx_head = relay->conn->rx_tail = 0;
	}
}

static void
relay_prepare(const struct relay *relay, struct pollfd *polls)
{
	bool is_pushing = conn_is_pushing(relay->conn);
	bool reads_host =
	    relay->end.reason != RELAY_PROTOCOL && !input_is_full(&relay->input, relay->conn);

	polls[RELAY_POLL_CONN].fd = relay->end.is_gone ? -1 : relay->conn->fd;
	polls[RELAY_POLL_CONN].events =
	    (short)(POLLRDHUP | (reads_host ? POLLIN : 0) | (is_pushing ? POLLOUT : 0));
	polls[RELAY_POLL_PID].fd = relay->phase == RELAY_RUNNING ? relay->tree->pid_fd : -1;
	polls[RELAY_POLL_PID].events = POLLIN;
	polls[RELAY_POLL_INPUT].fd = input_wants_to_write(&relay->input) ? relay->input.fd : -1;
	polls[RELAY_POLL_INPUT].events = POLLOUT;
	for (int i = 0; i < RELAY_SOURCES; i++) {
		polls[RELAY_POLL_SOURCE + i].fd = is_pushing ? -1 : relay->sources[i].fd;
		polls[RELAY_POLL_SOURCE + i].events = POLLIN;
	}
}

static void
relay_turn(struct relay *relay)
{
	struct pollfd polls[RELAY_POLL_COUNT] = { 0 };
	bool ready[RELAY_SOURCES];
	struct timespec left;
	uint64_t now;
	int n;

	/* For whoever is left; where nobody is, there is no further turn, and it can wait
	 * for relay_close(). */
	if (relay->phase != RELAY_RUNNING)
		input_close(&relay->input);
	relay_prepare(relay, polls);
	/* No watchdog runs: who is waited for is the program. */
	n = ppoll(polls, RELAY_POLL_COUNT, clock_left(relay_next_deadline(relay), &left),
	    relay->is_watching ? stop_watch_mask() : stop_wait_mask());
	now = clock_mono_ms();
	if (n < 0 && relay->is_watching)
		tracee_settle(relay->tree->pid);
	if (n > 0) {
		if (polls[RELAY_POLL_PID].revents != 0)
			relay_see_end(relay, now);
		if (polls[RELAY_POLL_CONN].revents != 0)
			relay_read_host(relay, polls[RELAY_POLL_CONN].revents, now);
		if (polls[RELAY_POLL_INPUT].revents != 0) {
			input_flush(&relay->input);
			relay_read_host(relay, 0, now);
		}
		if (conn_is_pushing(relay->conn))
			relay_push(relay, now);
	}
	if (relay->input.error < 0)
		relay_break(relay, -relay->input.error, now);
	/* What was there at the cut is read without asking. */
	for (int i = 0; i < RELAY_SOURCES; i++)
		ready[i] = polls[RELAY_POLL_SOURCE + i].revents != 0 || relay->phase == RELAY_CUT;
	relay_pump(relay, ready, now);
	relay_meet_deadlines(relay, now);
}

static bool
relay_is_over(const struct relay *relay)
{
	if (relay->phase == RELAY_RUNNING || relay->kill_again_ms != CLOCK_NEVER)
		return false;
	if (relay->end.is_gone)
		return relay->kill_at_ms == CLOCK_NEVER;
	return !conn_is_pushing(relay->conn) && !relay_has_output(relay);
}

static struct relay_source
relay_make_source(int fd, uint8_t type)
{
	return (struct relay_source){ .fd = fd, .ended_fd = -1, .type = type };
}

void
relay_run(const struct relay_options *options, struct relay_end *ret)
{
	struct relay *relay = &relay_running;
	int out_fd = options->tty_fd >= 0 ? options->tty_fd : options->stdout_fd;

	*relay = (struct relay){
		.options = options,
		.conn = options->conn,
		.tree = options->tree,
		.tty_slave_fd = options->tty_slave_fd,
		.term_at_ms =
		    options->timeout_ms > 0 ? clock_mono_ms() + options->timeout_ms : CLOCK_NEVER,
		.watch_at_ms = clock_mono_ms() + RELAY_WATCH_MS,
		.kill_at_ms = CLOCK_NEVER,
		.kill_again_ms = CLOCK_NEVER,
		.stuck_at_ms = CLOCK_NEVER,
	};
	relay->sources[0] = relay_make_source(out_fd, VMM_GUEST_STDOUT);
	relay->sources[1] = relay_make_source(options->stderr_fd, VMM_GUEST_STDERR);
	input_init(&relay->input, options->stdin_fd, options->tty_fd, options->tree);
	relay->lack.max_ms = relay->input.lack.max_ms = options->conn->lack.max_ms;
	/* Frames may have come along with START. */
	relay_read_host(relay, 0, clock_mono_ms());
	while (!relay_is_over(relay))
		relay_turn(relay);
	*ret = relay->end;
}

void
relay_close(void)
{
	for (int i = 0; i < RELAY_SOURCES; i++) {
		fd_close(&relay_running.sources[i].fd);
		fd_close(&relay_running.sources[i].ended_fd);
	}
	input_close(&relay_running.input);
	fd_close(&relay_running.tty_slave_fd);
}
