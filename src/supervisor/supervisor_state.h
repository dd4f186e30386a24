/*
 * supervisor_state: what the supervisor's parts share: begin.c has what it needs first,
 * supervisor.c serves, turn.c waits and acts, ending.c ends.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SUPERVISOR_SUPERVISOR_STATE_H
#define SUPERVISOR_SUPERVISOR_STATE_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "platform/backoff.h"
#include "shared/scoreboard.h"
#include "supervisor/journals.h"
#include "supervisor/listeners.h"
#include "supervisor/parked.h"
#include "supervisor/pool.h"
#include "supervisor/power_key.h"
#include "supervisor/quiesce.h"
#include "supervisor/readiness.h"
#include "supervisor/shutdown.h"
#include "supervisor/supervisor.h"

/* The time before memory, or a descriptor, that could not be had is asked for again. */
#define SUPERVISOR_AGAIN_MS 100

/* In place of a signal: the host has asked for the end. */
#define SUPERVISOR_IS_ASKED (-1)

/* How far the end is; see ending.h. */
struct ending {
	const struct ending_stage *stage; /* NULL: it has not begun */
	uint64_t until_ms;		  /* of the stage */
	int rounds;			  /* how often the stage has begun */
	uint32_t grace_ms;
	enum shutdown_action action; /* as PID 1, or where it ends the guest */
	pid_t sync_pid;		     /* the child that writes everything out */
	bool ends_guest;	     /* as a service: the host asked for the guest's end */
	pid_t program_pid;	     /* the guest's program that has been asked; 0: has ended */
	bool is_obeyed;		     /* and said that its init ends the guest */
};

struct supervisor {
	const struct supervisor_settings *settings;
	struct scoreboard *board;
	bool is_serving;
	bool is_ready;	/* there has been a worker, and those who wait for that were told */
	bool is_behind; /* there are more children to reap than one turn may hold */
	int signal_fd;	/* readable when one of them is there; -1: we look for them */
	uint64_t listen_at_ms;
	struct backoff listen_backoff;
	uint64_t show_after_ms;
	uint64_t replace_log_after_ms;
	int stop_signal;    /* 0: none yet; SUPERVISOR_IS_ASKED: what the next two say */
	uint8_t end_action; /* enum control_action, or a worker's nonsense */
	uint32_t end_grace_ms;
	struct pool pool;
	struct ending ending;
	struct listeners listeners;
	struct parked parked;
	struct power_key power_key;
	struct readiness readiness;
	sigset_t signals;
	struct journals_keeper journals;
	struct supervisor_quiesce quiesce;
};

#endif
