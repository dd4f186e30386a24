/*
 * SPDX-License-Identifier: MIT
 */
#include "supervisor/restart.h"

uint32_t
restart_delay_ms(struct restart *restart, bool is_clean, uint64_t now_ms)
{
	bool is_first = restart->died_ms == 0 || now_ms - restart->died_ms >= RESTART_FORGET_MS;

	if (is_clean)
		return 0;
	restart->died_ms = now_ms;
	if (!is_first)
		return backoff_next_ms(&restart->backoff, RESTART_FIRST_MS, RESTART_MAX_MS);
	backoff_reset(&restart->backoff);
	return 0;
}
