/*
 * report: what was measured, as a table for people or as JSON for programs.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef BENCH_REPORT_H
#define BENCH_REPORT_H

#include <stdbool.h>

enum report_target {
	REPORT_NO_TARGET,
	REPORT_RATIO_MAX, /* agent / floor is at most the target */
	REPORT_RATIO_MIN, /* agent / floor is at least the target */
	REPORT_VALUE_MAX, /* the agent's own value is at most the target */
};

struct report_row {
	const char *name;
	const char *unit;
	double agent;
	double floor; /* 0: there is none */
	enum report_target target_kind;
	double target;
};

/* Begins; JSON: one object for each row, in an array. */
void report_begin(bool json);
void report_add(struct report_row row);
void report_end(void);

#endif
