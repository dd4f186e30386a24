/*
 * supervisor_state: what the supervisor's parts share: supervisor_begin.c has what it
 * needs first, supervisor.c serves, supervisor_end.c ends.
 */
#ifndef SUPERVISOR_SUPERVISOR_STATE_H
#define SUPERVISOR_SUPERVISOR_STATE_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include "session/scoreboard.h"
#include "supervisor/listeners.h"
#include "supervisor/pool.h"
#include "supervisor/power_key.h"
#include "supervisor/readiness.h"
#include "supervisor/supervisor.h"

/* Before what could not be had is tried again. */
#define SUPERVISOR_AGAIN_MS 100

struct supervisor {
	const struct supervisor_settings *settings;
	struct scoreboard *board;
	struct listeners listeners;
	struct pool pool;
	struct power_key power_key;
	struct readiness readiness;
	bool is_serving;
	bool is_ready;	/* there has been a worker, and who waits for that was told */
	bool is_behind; /* there are more children to reap than one turn may hold */
	sigset_t signals;
	int signal_fd; /* readable when one of them is there; -1: we look for them */
	uint64_t listen_at_ms;
	uint64_t show_after_ms;
	uint64_t replace_log_after_ms;
	int stop_signal;    /* 0: none yet; SIGUSR2: what the next two say */
	uint8_t end_action; /* enum control_action, or a worker's nonsense */
	uint32_t end_grace_ms;
};

/* Blocks all signals, and sets which of them mean something to us: they are to be taken
 * one by one. */
void supervisor_take_signals(struct supervisor *supervisor);

/* Makes the scoreboard, which fixes the number of workers. As PID 1 it comes back only
 * with one, be it smaller; as a service it ends this process where there is no memory. */
void supervisor_make_board(struct supervisor *supervisor);

/* Waits until NEXT_MS (CLOCK_MONOTONIC), a signal, the power key or a watchdog, acts on
 * all that has come, and reaps. */
void supervisor_wait(struct supervisor *supervisor, uint64_t next_ms);

/* Ends the sessions, then this process, or as PID 1 the machine. */
_Noreturn void supervisor_end(struct supervisor *supervisor);

#endif
