/*
 * backoff: when a worker that has left is replaced.
 *
 * SPDX-License-Identifier: MIT
 */
#include "supervisor/backoff.h"

uint32_t
backoff_next_ms(struct backoff *backoff, bool is_clean, uint64_t now_ms)
{
	uint32_t delay = BACKOFF_FIRST_MS;

	if (is_clean)
		return 0;
	if (now_ms - backoff->died_ms >= BACKOFF_FORGET_MS)
		backoff->deaths = 0;
	backoff->died_ms = now_ms;
	if (backoff->deaths++ == 0)
		return 0;
	for (uint32_t i = 2; i < backoff->deaths && delay < BACKOFF_MAX_MS; i++)
		delay *= 2;
	return delay < BACKOFF_MAX_MS ? delay : BACKOFF_MAX_MS;
}
