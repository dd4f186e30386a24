/*
 * relay: the one loop that moves bytes between the host and a running program. How a
 * session ends is relay_end.c's.
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
 * SPDX-License-Identifier: MIT
 */
#include "session/run/relay.h"

#include <errno.h>
#include <poll.h>

#include "platform/clock.h"
#include "platform/fd.h"
#include "platform/tracee.h"
#include "session/rest.h"
#include "session/run/relay_durable.h"
#include "session/run/relay_end.h"
#include "session/stop.h"

enum {
	RELAY_POLL_CONN,
	RELAY_POLL_PID,
	RELAY_POLL_INPUT,
	RELAY_POLL_OUTPUT,
	RELAY_POLL_COUNT = RELAY_POLL_OUTPUT + OUTPUT_STREAMS
};

static void
relay_read_host(struct relay *relay, short shown, uint64_t now)
{
	ssize_t n = 0;

	if (relay->owner != NULL) {
		relay_durable_read_host(relay, shown);
		return;
	}
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
	bool reads_program = output_may_read(&relay->output);

	polls[RELAY_POLL_CONN].fd = relay->end.is_gone ? -1 : conn_fd(relay->conn);
	polls[RELAY_POLL_CONN].events =
	    (short)(POLLRDHUP | (reads_host ? POLLIN : 0) | (is_pushing ? POLLOUT : 0));
	if (relay->owner != NULL)
		relay_durable_prepare(relay, &polls[RELAY_POLL_CONN]);
	polls[RELAY_POLL_PID].fd = relay->phase == RELAY_RUNNING ? relay->tree->pid_fd : -1;
	polls[RELAY_POLL_PID].events = POLLIN;
	polls[RELAY_POLL_INPUT].fd = input_wants_to_write(&relay->input) ? relay->input.fd : -1;
	polls[RELAY_POLL_INPUT].events = POLLOUT;
	for (int i = 0; i < OUTPUT_STREAMS; i++) {
		polls[RELAY_POLL_OUTPUT + i].fd = reads_program ? relay->output.streams[i].fd : -1;
		polls[RELAY_POLL_OUTPUT + i].events = POLLIN;
	}
}

static void
relay_obey_signal_request(struct relay *relay, uint64_t now)
{
	/* From then on it is as if we had done it: again until nobody is left. */
	if (process_tree_obey_signal_request(relay->tree))
		relay_kill(relay, now);
}

/* Stands still while the guest is quiesced. What is frozen can be killed. It is kept out of
 * what each turn goes through. */
static __attribute__((cold, noinline)) void
relay_rest(struct relay *relay)
{
	while (rest_turn())
		relay_obey_signal_request(relay, run_clock_look(&relay->clock, clock_mono_ms()));
}

/* Waits for the next turn. Returns the number of POLLS that show something, or -1. */
static int
relay_wait(struct relay *relay, struct pollfd *polls)
{
	struct timespec left;
	int n;

	if (rest_is_due())
		relay_rest(relay);
	if (relay->owner != NULL)
		relay_durable_look(relay);
	relay_prepare(relay, polls);
	/* No watchdog runs: what is waited for is the program. */
	n = ppoll(polls, RELAY_POLL_COUNT,
	    clock_left(run_clock_plan(&relay->clock, relay_next_turn(relay)), &left),
	    relay->is_watching ? stop_watch_mask() : stop_wait_mask());
	if (relay->owner != NULL)
		owner_rise(relay->owner);
	if (n < 0 && relay->is_watching)
		tracee_settle(relay->tree->pid);
	return n;
}

static void
relay_pump(struct relay *relay, const struct pollfd *polls, uint64_t now)
{
	bool ready[OUTPUT_STREAMS];

	/* While a frame goes to its end no output is waited for. So that no frame follows it before
	 * we rest, what is read without waiting is left alone. */
	for (int i = 0; i < OUTPUT_STREAMS; i++)
		ready[i] = polls[RELAY_POLL_OUTPUT + i].revents != 0 ||
			   (relay->phase == RELAY_CUT && !rest_is_due());
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
	}
	if (relay->owner != NULL)
		relay_durable_push(relay, (polls[RELAY_POLL_CONN].revents & POLLOUT) != 0, now);
	else if (conn_is_pushing(relay->conn) && output_push(&relay->output, now) < 0)
		relay_lose_host(relay, now);
	relay_break(relay, relay->input.error, now);
	relay_pump(relay, polls, now);
	if (stop_is_now())
		relay_shut_down(relay, now);
	relay_obey_signal_request(relay, now);
	relay_meet_timers(relay, now);
}

static bool
relay_is_over(const struct relay *relay)
{
	if (relay->phase == RELAY_RUNNING || relay->at_ms[RELAY_TIMER_KILL_AGAIN] != CLOCK_NEVER)
		return false;
	if (relay->end.is_gone && relay->at_ms[RELAY_TIMER_KILL] != CLOCK_NEVER)
		return false;
	if (relay->owner != NULL)
		return relay_durable_has_all(relay);
	return relay->end.is_gone ||
	       (!conn_is_pushing(relay->conn) && !output_is_open(&relay->output));
}

void
relay_run(struct relay *relay, const struct relay_options *options, struct relay_end *ret)
{
	uint64_t now = clock_mono_ms();

	*relay = (struct relay){
		.options = options,
		.conn = options->conn,
		.owner = options->owner,
		.tree = options->tree,
		.tty_slave_fd = options->tty_slave_fd,
	};
	run_clock_init(&relay->clock, now);
	relay_end_init(relay, now);
	output_init(&relay->output, options->conn, options->owner, options->tty_fd,
	    options->stdout_fd, options->stderr_fd);
	input_init(&relay->input, options->stdin_fd, options->tty_fd, conn_stall_ms(options->conn));
	relay->frames = (struct host_frames){
		.conn = options->conn,
		.input = &relay->input,
		.tree = options->tree,
		.owner = options->owner,
	};
	/* Frames may have come along with START; and a wake-up while `started` was sent. */
	relay_read_host(relay, 0, now);
	relay_obey_signal_request(relay, now);
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
