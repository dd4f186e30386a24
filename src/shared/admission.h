/*
 * admission: the control lane. A session that may run for long, or that moves files,
 * needs a place. There are fewer places than workers, so that clock sync, status, restore
 * and shutdown always find a worker.
 *
 * A place is a word of shared memory that names the slot that holds it, and is taken by
 * compare-and-swap. So a count is always true, and the supervisor can free the places of
 * a dead worker.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SHARED_ADMISSION_H
#define SHARED_ADMISSION_H

#include <stdbool.h>
#include <stdint.h>

#include "shared/scoreboard.h"

enum admission_class {
	ADMISSION_NONE = 0, /* control requests need none */
	ADMISSION_FILE,	    /* one of N - 1 */
	ADMISSION_EXEC,	    /* one of N - reserved, and one of N - 1 */
};

/* How many places of KIND there are. With one worker there is one of each: an
 * agent that could do nothing would be no safer. */
uint32_t admission_total(const struct scoreboard *board, enum admission_class kind);

/* Takes a place of KIND for the slot of INDEX. Returns false if there is none. */
bool admission_take(struct scoreboard *board, uint32_t index, enum admission_class kind);

/* Frees every place of the slot of INDEX; there may be none. */
void admission_free(struct scoreboard *board, uint32_t index);

/* How many places of KIND are taken now. */
uint32_t admission_count_taken(const struct scoreboard *board, enum admission_class kind);

#endif
