/*
 * relay: the one loop that moves bytes between the host and a running program, on
 * pipes or a terminal, until the session has ended.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SESSION_RUN_RELAY_H
#define SESSION_RUN_RELAY_H

#include <stdbool.h>
#include <stdint.h>

#include "platform/run_clock.h"
#include "session/conn.h"
#include "session/run/host_frames.h"
#include "session/run/input.h"
#include "session/run/output.h"
#include "session/run/process_tree.h"

/* Why a session ended. */
enum relay_reason {
	RELAY_EXITED = 0, /* of its own accord: exited, or killed by others */
	RELAY_TIMEOUT,
	RELAY_DISCONNECTED,
	RELAY_SHUTDOWN,
	RELAY_PROTOCOL,	 /* the host announced a frame above the limit */
	RELAY_BROKEN,	 /* a stream of the program can't be read or written */
	RELAY_ABANDONED, /* nobody was attached to a durable session for its time */
};

/* Descriptors are given away: the relay closes them, the last in relay_close(). */
struct relay_options {
	struct conn *conn;
	int duplicates_fd;   /* see conn_lose_host(); stays the caller's */
	struct owner *owner; /* of a durable session, else NULL */
	struct process_tree *tree;
	int stdin_fd;  /* to the program, non-blocking; -1: none */
	int stdout_fd; /* from it, non-blocking; with a terminal -1 */
	int stderr_fd;
	int tty_fd;	     /* the terminal's master, non-blocking; -1: pipes */
	int tty_slave_fd;    /* kept open until the main process ends; -1 */
	uint64_t timeout_ms; /* from now; 0: none */
	uint64_t grace_ms;   /* between SIGTERM and SIGKILL at the timeout; 0: SIGKILL at once */
};

struct relay_end {
	enum relay_reason reason;
	struct process_tree_end end; /* of the main process */
	bool output_held;	     /* a descendant still held the output open */
	bool is_gone;		     /* there is no host to send anything to; of a durable
				       session: there was none for its time */
	bool was_killed;	     /* by us */
	int error;		     /* -errno of a stream, whatever the reason: output or
				       input was lost */
	bool is_stuck;		     /* the main process did not die of SIGKILL, or its tracer hides
				       its end: don't wait for it */
};

/* What may be due; see the table in relay_end.c. */
enum relay_timer {
	RELAY_TIMER_WATCH,
	RELAY_TIMER_TIMEOUT,
	RELAY_TIMER_KILL,
	RELAY_TIMER_KILL_AGAIN,
	RELAY_TIMER_STUCK,
	RELAY_TIMER_LOOK,
	RELAY_TIMER_QUIET,
	RELAY_TIMER_DRAINED,
	RELAY_TIMER_ALONE,
	RELAY_TIMER_LINGER,
	RELAY_TIMER_PACE,
	RELAY_TIMERS
};

enum relay_phase {
	RELAY_RUNNING,
	RELAY_DRAINING,
	RELAY_CUT
};

/* The relay's own. Times are of its CLOCK, in ms. */
struct relay {
	const struct relay_options *options;
	struct conn *conn;
	struct owner *owner;
	struct process_tree *tree;
	uint64_t next_ms; /* nothing of AT_MS is due before */
	uint64_t kill_until_ms;
	uint64_t ended_ms; /* the main process has */
	int tty_slave_fd;
	enum relay_phase phase;
	bool is_watching; /* what becomes of children wakes us */
	bool is_shut_down;
	struct relay_end end;
	struct input input;
	uint64_t at_ms[RELAY_TIMERS]; /* CLOCK_NEVER: not set */
	struct run_clock clock;
	struct host_frames frames;
	struct output output;
};

/* Runs until the session has ended and all of its output has gone to the host.
 * The main process is left unreaped, and what relay_close() closes is left open.
 * OPTIONS are borrowed until it returns. */
void relay_run(struct relay *relay, const struct relay_options *options, struct relay_end *ret);

/* Closes our ends of the program's streams: the kernel takes longer to free pipes
 * than to send EXIT, and the host need not wait for that. */
void relay_close(struct relay *relay);

#endif
