/*
 * exec_state: what the parts of one START share: exec.c takes the steps,
 * exec_refuse.c says why one could not be taken, exec_end.c tells how it ended.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SESSION_RUN_EXEC_STATE_H
#define SESSION_RUN_EXEC_STATE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>

#include "platform/spawn.h"
#include "protocol/start.h"
#include "session/run/environment.h"
#include "session/run/process_tree.h"
#include "session/run/relay.h"
#include "session/session.h"
#include "session/run/streams.h"

struct exec {
	struct session *session;
	struct start_request request;
	const struct run_as *user; /* NULL: the agent's own */
	struct environment environment;
	struct streams streams;
	struct process_tree tree;
	enum spawn_stage spawn_stage; /* that the child was in last */
	bool was_cut;		      /* its start took too long */
	uint64_t started_ms;
	int cgroup_fd;	    /* borrowed; -1: no cgroups */
	uint64_t oom_kills; /* in the cell, before */
};

/* Sends the host the reason for FAILURE, then EXIT 125, 126 or 127. */
void exec_refuse_spawn(struct exec *exec, const struct spawn_failure *failure);

/* Sends the host the reason why the child was killed before it ran, then EXIT 126. */
void exec_refuse_stalled(struct exec *exec);

/* Sends STATUS "started", if the host asked for reports. */
void exec_end_report_started(struct exec *exec);

/* Counts the end, sends STATUS "exited" if the host asked for it, then EXIT; the
 * host may have gone. USAGE is the main process's. */
void exec_end_tell(struct exec *exec, const struct relay_end *end, const struct rusage *usage);

#endif
