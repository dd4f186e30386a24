/*
 * launch: from a request to a running program, or to the words in which it is refused.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SESSION_RUN_LAUNCH_H
#define SESSION_RUN_LAUNCH_H

#include <stdbool.h>
#include <stdint.h>

#include "protocol/start.h"
#include "session/run/process_tree.h"
#include "session/run/streams.h"
#include "session/session.h"

#define LAUNCH_WORDS_MAX 512

/* A program that runs. */
struct program {
	struct process_tree tree;
	struct streams streams; /* our ends */
	uint64_t started_ms;	/* of clock_shared_ms(): it is how long it was there */
	uint64_t oom_kills;	/* in its cgroup, before it began */
};

/* Why a program could not be started. */
struct launch_refusal {
	int code; /* of EXIT: 125, 126 or 127 */
	char words[LAUNCH_WORDS_MAX];
};

/* Starts the program of REQUEST. Returns true with *RET, whose streams and pidfd are the
 * caller's; or false with *RET_REFUSAL, which the caller tells the host. */
bool launch_program(struct session *session, const struct start_request *request,
    struct program *ret, struct launch_refusal *ret_refusal);

#endif
