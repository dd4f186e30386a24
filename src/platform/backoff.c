/*
 * SPDX-License-Identifier: MIT
 */
#include "platform/backoff.h"

uint32_t
backoff_next_ms(struct backoff *backoff, uint32_t first_ms, uint32_t max_ms)
{
	if (backoff->delay_ms == 0)
		backoff->delay_ms = first_ms;
	else if (backoff->delay_ms < max_ms / 2)
		backoff->delay_ms *= 2;
	else
		backoff->delay_ms = max_ms;
	return backoff->delay_ms;
}

void
backoff_reset(struct backoff *backoff)
{
	backoff->delay_ms = 0;
}
