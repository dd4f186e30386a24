/*
 * backoff: when a worker that has left is replaced. Pure: the caller has the
 * clock.
 */
#ifndef SUPERVISOR_BACKOFF_H
#define SUPERVISOR_BACKOFF_H

#include <stdbool.h>
#include <stdint.h>

#define BACKOFF_FIRST_MS 100
#define BACKOFF_MAX_MS 5000

/* A worker that lived for so long has put its predecessors' deaths behind it. */
#define BACKOFF_FORGET_MS 10000

/* How often in a row the workers of one slot died early. All zero at first. */
struct backoff {
	uint32_t deaths;
};

/* A worker has left after LIVED_MS. IS_CLEAN: of its own accord. Returns after how
 * many milliseconds the next one may start: at once the first time, then twice
 * as long with each death that follows, up to BACKOFF_MAX_MS. */
uint32_t backoff_next_ms(struct backoff *backoff, bool is_clean, uint64_t lived_ms);

#endif
