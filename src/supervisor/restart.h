/*
 * restart: when a worker that has left is replaced. Pure: the caller has the clock.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SUPERVISOR_RESTART_H
#define SUPERVISOR_RESTART_H

#include <stdbool.h>
#include <stdint.h>

#include "platform/backoff.h"

#define RESTART_FIRST_MS 100
#define RESTART_MAX_MS 5000

/* A slot in which nobody has died for this long has put its deaths behind it, however
 * many workers have come and gone in good order since. */
#define RESTART_FORGET_MS 10000

/* The deaths in one slot, each soon after the one before. All zero at first. */
struct restart {
	struct backoff backoff;
	uint64_t died_ms; /* the last of them; 0: none */
};

/* A worker has left at NOW_MS, of a clock that does not go back. IS_CLEAN: of its own
 * accord. Returns after how many milliseconds the next one may start: at once the first
 * time, then twice as long with each death that follows, up to RESTART_MAX_MS. */
uint32_t restart_delay_ms(struct restart *restart, bool is_clean, uint64_t now_ms);

#endif
