/*
 * sample: many measurements of one thing, and the one number that stands for them.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef BENCH_SAMPLE_H
#define BENCH_SAMPLE_H

#include <stddef.h>

#define SAMPLE_MAX 1024

struct sample {
	size_t count;
	double values[SAMPLE_MAX];
};

/* Adds VALUE; what is more than SAMPLE_MAX is dropped. */
void sample_add(struct sample *sample, double value);

/* The value below which PERCENT of all values lie; 0 of none. Sorts the sample. */
double sample_percentile(struct sample *sample, double percent);

/* What is measured: returns microseconds, or MiB or runs a second. */
struct sample_side {
	double (*run)(const void *argument);
	const void *argument;
};

/* From here on a tenth of the rounds: to see that everything can be measured.
 * sample_few() is COUNT, or then a tenth of it, rounded up. */
void sample_hurry(void);
size_t sample_few(size_t count);

/* Runs both sides in turn, ROUNDS times each after one that does not count, so
 * that what else the machine does hits both alike. */
void sample_alternate(struct sample_side agent, struct sample_side floor, size_t rounds,
    struct sample *ret_agent, struct sample *ret_floor);

#endif
