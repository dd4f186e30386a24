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
 *   - A main process that outlives SIGKILL by 2 s is stuck in the kernel; it is
 *     given up, and so is this worker after the session.
 */
#include "session/relay.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "platform/clock.h"
#include "platform/fd.h"
#include "session/input.h"
#include "session/stop.h"

#define RELAY_SOURCES 2

/* A pipe that gave so much in one read is made larger: the program has volume. */
#define RELAY_PIPE_FULL (64 * 1024)
#define RELAY_PIPE_LARGE (1024 * 1024)

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

struct relay_source {
	int fd; /* -1: at its end */
	uint8_t type;
	size_t left; /* once cut: bytes still to be sent */
};

enum relay_phase {
	RELAY_RUNNING,
	RELAY_DRAINING,
	RELAY_CUT
};

struct relay {
	const struct relay_options *options;
	struct conn *conn;
	struct group *group;
	struct input input;
	struct relay_source sources[RELAY_SOURCES];
	int tty_slave_fd;
	enum relay_phase phase;
	struct relay_end end;
	uint64_t term_at_ms; /* the timeout */
	uint64_t kill_at_ms; /* SIGKILL to the group */
	uint64_t kill_again_ms;
	uint64_t kill_until_ms;
	uint64_t stuck_at_ms; /* the main process is given up */
	uint64_t look_at_ms;  /* for what is left of the group, when both ends are gone */
	uint64_t quiet_since_ms;
	uint64_t drain_end_ms;
};

enum {
	RELAY_POLL_CONN,
	RELAY_POLL_PID,
	RELAY_POLL_INPUT,
	RELAY_POLL_SOURCE,
	RELAY_POLL_COUNT = RELAY_POLL_SOURCE + RELAY_SOURCES
};

/* ---- ends ------------------------------------------------------------- */

static void
relay_kill(struct relay *relay, uint64_t now)
{
	group_kill(relay->group);
	relay->end.was_killed = true;
	if (relay->group->cgroup_fd >= 0) {
		relay->kill_again_ms = now + RELAY_KILL_AGAIN_MS;
		relay->kill_until_ms = now + RELAY_KILL_MAX_MS;
	}
	relay->term_at_ms = CLOCK_NEVER;
	relay->kill_at_ms = CLOCK_NEVER;
	if (relay->phase == RELAY_RUNNING)
		relay->stuck_at_ms = now + RELAY_STUCK_MS;
}

static void
relay_set_reason(struct relay *relay, enum relay_reason reason)
{
	if (relay->end.reason == RELAY_EXITED)
		relay->end.reason = reason;
}

/* The host has gone. */
static void
relay_lose_host(struct relay *relay, uint64_t now)
{
	if (relay->end.is_gone)
		return;
	relay->end.is_gone = true;
	relay_set_reason(relay, RELAY_DISCONNECTED);
	relay->conn->tx_head = relay->conn->tx_tail = 0;
	input_close(&relay->input);
	group_signal(relay->group, SIGHUP);
	group_signal(relay->group, SIGCONT);
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
	group_signal(relay->group, SIGTERM);
	group_signal(relay->group, SIGCONT);
	if (relay->kill_at_ms > now + grace)
		relay->kill_at_ms = now + grace;
}

static void
relay_shut_down(struct relay *relay, uint64_t now)
{
	if (relay->end.reason == RELAY_SHUTDOWN)
		return;
	relay->end.reason = RELAY_SHUTDOWN;
	group_signal(relay->group, SIGTERM);
	group_signal(relay->group, SIGCONT);
	if (!relay->end.was_killed && relay->kill_at_ms > now + stop_grace_ms())
		relay->kill_at_ms = now + stop_grace_ms();
}

static void
relay_kill_again(struct relay *relay, uint64_t now)
{
	if (group_is_empty(relay->group) || now >= relay->kill_until_ms) {
		relay->kill_again_ms = CLOCK_NEVER;
		return;
	}
	group_kill(relay->group);
	relay->kill_again_ms = now + RELAY_KILL_AGAIN_MS;
}

/* With host and main process gone, the rest of the group is looked for: only what
 * is there has its two seconds, and a worker that waits for nobody is wasted. */
static void
relay_look_for_rest(struct relay *relay, uint64_t now)
{
	if (group_is_empty(relay->group))
		relay->kill_at_ms = CLOCK_NEVER;
	relay->look_at_ms = relay->kill_at_ms == CLOCK_NEVER ? CLOCK_NEVER : now + RELAY_LOOK_MS;
}

/* The main process has ended. */
static void
relay_begin_drain(struct relay *relay, uint64_t now)
{
	relay->phase = RELAY_DRAINING;
	relay->term_at_ms = CLOCK_NEVER;
	relay->stuck_at_ms = CLOCK_NEVER;
	relay->quiet_since_ms = now;
	relay->drain_end_ms = now + VMM_GUEST_DRAIN_MAX_MS;
	fd_close(&relay->tty_slave_fd);
	input_close(&relay->input);
	/* Whoever was to be killed is killed now; only a host that has gone leaves
	 * the rest of the group its two seconds. */
	if (relay->kill_at_ms != CLOCK_NEVER && !relay->end.is_gone)
		relay_kill(relay, now);
}

/* The pidfd says that the main process has ended. */
static void
relay_see_end(struct relay *relay, uint64_t now)
{
	if (!group_has_ended(relay->group, &relay->end.end)) {
		if (!group_has_ended_hidden(relay->group, &relay->end.end))
			return;
		relay->end.is_stuck = true;
	}
	relay_begin_drain(relay, now);
}

static bool
relay_has_output(const struct relay *relay)
{
	for (int i = 0; i < RELAY_SOURCES; i++) {
		if (relay->sources[i].fd >= 0)
			return true;
	}
	return false;
}

/* Takes note of what is in the outputs at this moment: that much is still sent. */
static void
relay_cut(struct relay *relay)
{
	relay->phase = RELAY_CUT;
	relay->end.output_held = true;
	for (int i = 0; i < RELAY_SOURCES; i++) {
		struct relay_source *source = &relay->sources[i];
		int available = 0;

		if (source->fd < 0)
			continue;
		if (relay->options->tty_fd >= 0)
			source->left = RELAY_TTY_LEFT_MAX;
		else if (ioctl(source->fd, FIONREAD, &available) == 0)
			source->left = (size_t)available;
		if (source->left == 0)
			fd_close(&source->fd);
	}
}

static void
relay_meet_deadlines(struct relay *relay, uint64_t now)
{
	if (stop_is_now())
		relay_shut_down(relay, now);
	group_obey_wanted_signal(relay->group);
	if (now >= relay->term_at_ms)
		relay_time_out(relay, now);
	if (now >= relay->kill_at_ms)
		relay_kill(relay, now);
	if (now >= relay->kill_again_ms)
		relay_kill_again(relay, now);
	if (now >= relay->stuck_at_ms && relay->phase == RELAY_RUNNING) {
		relay->end.is_stuck = true;
		relay->end.end = (struct group_end){ .signaled = true, .signal = SIGKILL };
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

static uint64_t
relay_next_deadline(const struct relay *relay)
{
	uint64_t next = relay->term_at_ms;

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

/* ---- output ------------------------------------------------------------ */

/* Reads once. Returns how much there was; 0 for nothing now, or nothing ever
 * again, in which case the source is closed. */
static size_t
relay_read(struct relay *relay, struct relay_source *source)
{
	size_t max = VMM_GUEST_DATA_MAX;
	ssize_t n;

	if (relay->phase == RELAY_CUT && source->left < max)
		max = source->left;
	do {
		n = read(source->fd, conn_tx_buffer(), max);
	} while (n < 0 && errno == EINTR);
	if (n < 0 && errno == EAGAIN && relay->phase != RELAY_CUT)
		return 0;
	if (n <= 0) {
		fd_close(&source->fd);
		return 0;
	}
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
		len = relay_read(relay, source);
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
	polls[RELAY_POLL_PID].fd = relay->phase == RELAY_RUNNING ? relay->group->pid_fd : -1;
	polls[RELAY_POLL_PID].events = POLLIN;
	polls[RELAY_POLL_INPUT].fd = input_wants_to_write(&relay->input) ? relay->input.fd : -1;
	polls[RELAY_POLL_INPUT].events = POLLOUT;
	for (int i = 0; i < RELAY_SOURCES; i++) {
		polls[RELAY_POLL_SOURCE + i].fd = is_pushing ? -1 : relay->sources[i].fd;
		polls[RELAY_POLL_SOURCE + i].events = POLLIN;
	}
}

static int
relay_wait(const struct relay *relay, struct pollfd *polls, uint64_t now)
{
	uint64_t deadline = relay_next_deadline(relay);
	struct timespec left;

	/* Rounded up by the clock's grain, so that we do not wake just before. */
	if (deadline != CLOCK_NEVER) {
		uint64_t ms = deadline > now ? deadline - now : 0;

		left.tv_sec = (time_t)(ms / 1000);
		left.tv_nsec = (long)(ms % 1000) * 1000000;
	}
	return ppoll(
	    polls, RELAY_POLL_COUNT, deadline == CLOCK_NEVER ? NULL : &left, stop_wait_mask());
}

static void
relay_turn(struct relay *relay)
{
	struct pollfd polls[RELAY_POLL_COUNT] = { 0 };
	bool ready[RELAY_SOURCES];
	uint64_t now;
	int n;

	relay_prepare(relay, polls);
	n = relay_wait(relay, polls, clock_mono_ms());
	now = clock_mono_ms();
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

void
relay_run(const struct relay_options *options, struct relay_end *ret)
{
	struct relay relay = {
		.options = options,
		.conn = options->conn,
		.group = options->group,
		.tty_slave_fd = options->tty_slave_fd,
		.term_at_ms =
		    options->timeout_ms > 0 ? clock_mono_ms() + options->timeout_ms : CLOCK_NEVER,
		.kill_at_ms = CLOCK_NEVER,
		.kill_again_ms = CLOCK_NEVER,
		.stuck_at_ms = CLOCK_NEVER,
	};
	int out_fd = options->tty_fd >= 0 ? options->tty_fd : options->stdout_fd;

	relay.sources[0] = (struct relay_source){ .fd = out_fd, .type = VMM_GUEST_STDOUT };
	relay.sources[1] =
	    (struct relay_source){ .fd = options->stderr_fd, .type = VMM_GUEST_STDERR };
	input_init(&relay.input, options->stdin_fd, options->tty_fd, options->group);
	/* Frames may have come along with START. */
	relay_read_host(&relay, 0, clock_mono_ms());
	while (!relay_is_over(&relay))
		relay_turn(&relay);
	for (int i = 0; i < RELAY_SOURCES; i++)
		fd_close(&relay.sources[i].fd);
	input_close(&relay.input);
	fd_close(&relay.tty_slave_fd);
	*ret = relay.end;
}
