/*
 * backoff: how long to wait before something is tried again: twice as long each time,
 * up to a limit. Pure.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PLATFORM_BACKOFF_H
#define PLATFORM_BACKOFF_H

#include <stdint.h>

/* All zero at first. */
struct backoff {
	uint32_t delay_ms; /* the last one; 0: none yet */
};

/* The next delay in milliseconds: FIRST_MS, then twice the one before, at most MAX_MS. */
uint32_t backoff_next_ms(struct backoff *backoff, uint32_t first_ms, uint32_t max_ms);

/* It has succeeded: the next delay is the first again. */
void backoff_reset(struct backoff *backoff);

#endif
