/*
 * SPDX-License-Identifier: MIT
 */
#include "platform/run_clock.h"

#include "platform/clock.h"

uint64_t
run_clock_look(struct run_clock *clock, uint64_t now_ms)
{
	if (now_ms > clock->due_ms && now_ms - clock->due_ms > RUN_CLOCK_LATE_MS)
		clock->jumped_ms += now_ms - clock->due_ms;
	clock->due_ms = now_ms;
	return now_ms - clock->jumped_ms;
}

uint64_t
run_clock_plan(struct run_clock *clock, uint64_t deadline_ms)
{
	uint64_t now_ms = clock->due_ms - clock->jumped_ms;
	uint64_t left_ms = deadline_ms > now_ms ? deadline_ms - now_ms : 0;
	uint64_t wait_ms = left_ms / RUN_CLOCK_WAIT_PART;

	if (deadline_ms == CLOCK_NEVER)
		return clock->due_ms = CLOCK_NEVER;
	if (wait_ms < RUN_CLOCK_WAIT_MIN_MS)
		wait_ms = RUN_CLOCK_WAIT_MIN_MS;
	if (wait_ms > RUN_CLOCK_WAIT_MAX_MS)
		wait_ms = RUN_CLOCK_WAIT_MAX_MS;
	return clock->due_ms += clock_sooner(left_ms, wait_ms);
}
