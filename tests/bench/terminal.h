/*
 * terminal: a program that writes to a terminal, by the agent and with nobody in between.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef BENCH_TERMINAL_H
#define BENCH_TERMINAL_H

#include <stdint.h>

#include "target.h"

/* The same program for both, and how many bytes come of it. */
struct terminal_program {
	const char *command; /* in JSON */
	const char *const argv[4];
	uint64_t bytes;
};

/* As fast as it can, 16 MiB; and 50,000 lines, of which each is a write of its own, as most
 * programs do on a terminal. */
extern const struct terminal_program terminal_zeros;
extern const struct terminal_program terminal_lines;

/* Return when all has come, and the program has ended. */
void terminal_run_agent(const struct target *target, const struct terminal_program *program);
void terminal_run_floor(const struct terminal_program *program);

#endif
