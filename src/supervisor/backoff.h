/*
 * backoff: when a worker that has left is replaced. Pure: the caller has the
 * clock.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SUPERVISOR_BACKOFF_H
#define SUPERVISOR_BACKOFF_H

#include <stdbool.h>
#include <stdint.h>

#define BACKOFF_FIRST_MS 100
#define BACKOFF_MAX_MS 5000

/* A slot in which nobody has died for so long has put its deaths behind it, however many
 * workers have come and gone in good order since. */
#define BACKOFF_FORGET_MS 10000

/* How often the workers of one slot died, each soon after the one before. All zero at
 * first. */
struct backoff {
	uint32_t deaths;
	uint64_t died_ms; /* the last of them */
};

/* A worker has left at NOW_MS, of a clock that does not go back. IS_CLEAN: of its own
 * accord. Returns after how many milliseconds the next one may start: at once the first
 * time, then twice as long with each death that follows, up to BACKOFF_MAX_MS. */
uint32_t backoff_next_ms(struct backoff *backoff, bool is_clean, uint64_t now_ms);

#endif
