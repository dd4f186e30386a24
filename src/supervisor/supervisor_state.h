/*
 * supervisor_state: what the supervisor's two halves share: supervisor.c begins
 * and serves, supervisor_end.c ends.
 */
#ifndef SUPERVISOR_SUPERVISOR_STATE_H
#define SUPERVISOR_SUPERVISOR_STATE_H

#include <stdbool.h>
#include <stdint.h>

#include "session/scoreboard.h"
#include "supervisor/listeners.h"
#include "supervisor/pool.h"
#include "supervisor/power_key.h"
#include "supervisor/readiness.h"
#include "supervisor/supervisor.h"

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
	int signal_fd;
	uint64_t listen_at_ms;
	uint64_t show_after_ms;
	uint64_t replace_log_after_ms;
	int stop_signal;    /* 0: none yet; SIGUSR2: what the next two say */
	uint8_t end_action; /* enum control_action, or a worker's nonsense */
	uint32_t end_grace_ms;
};

/* Waits until NEXT_MS (CLOCK_MONOTONIC), a signal, the power key or a watchdog, acts on
 * all that has come, and reaps. */
void supervisor_wait(struct supervisor *supervisor, uint64_t next_ms);

/* Ends the sessions, then this process, or as PID 1 the machine. */
_Noreturn void supervisor_end(struct supervisor *supervisor);

#endif
