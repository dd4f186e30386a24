/*
 * sample: many measurements of one thing, and the one number that stands for them.
 *
 * SPDX-License-Identifier: MIT
 */
#include "sample.h"

#include <stdbool.h>
#include <stdlib.h>

#define SAMPLE_HURRY 10

static bool sample_is_hurried;

void
sample_add(struct sample *sample, double value)
{
	if (sample->count < SAMPLE_MAX)
		sample->values[sample->count++] = value;
}

static int
sample_compare(const void *left, const void *right)
{
	double a = *(const double *)left;
	double b = *(const double *)right;

	return (a > b) - (a < b);
}

double
sample_percentile(struct sample *sample, double percent)
{
	size_t index = (size_t)((double)sample->count * percent / 100.0);

	if (sample->count == 0)
		return 0;
	qsort(sample->values, sample->count, sizeof(sample->values[0]), sample_compare);
	return sample->values[index < sample->count ? index : sample->count - 1];
}

void
sample_hurry(void)
{
	sample_is_hurried = true;
}

size_t
sample_few(size_t count)
{
	return sample_is_hurried ? (count + SAMPLE_HURRY - 1) / SAMPLE_HURRY : count;
}

void
sample_alternate(struct sample_side agent, struct sample_side floor, size_t rounds,
    struct sample *ret_agent, struct sample *ret_floor)
{
	rounds = sample_few(rounds);
	ret_agent->count = ret_floor->count = 0;
	(void)agent.run(agent.argument);
	(void)floor.run(floor.argument);
	for (size_t i = 0; i < rounds; i++) {
		sample_add(ret_agent, agent.run(agent.argument));
		sample_add(ret_floor, floor.run(floor.argument));
	}
}
