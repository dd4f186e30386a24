/*
 * target: the agent that is measured: one that this program starts on a socket of
 * its own, or one that stands at an address already.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef BENCH_TARGET_H
#define BENCH_TARGET_H

#include <sys/types.h>

#include "platform/address.h"

struct target {
	const char *program;
	struct address address;
	pid_t pid; /* 0: it is not ours */
};

/* Takes the agent at ADDRESS (unix:PATH or vsock:CID). Failures end the program,
 * here and below: a figure without its agent is none. */
void target_find(struct target *target, const char *address);

/* Starts PROGRAM with WORKERS workers on a socket in FOLDER, and returns how many
 * microseconds passed until it said that it serves. */
double target_start(
    struct target *target, const char *program, const char *folder, unsigned workers);

/* Ends it, and waits for its end. */
void target_stop(struct target *target);

#endif
