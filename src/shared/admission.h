/*
 * admission: the control lane. A session that may run for long, or that moves files,
 * needs a place. There are fewer places than workers, so that clock sync, status, restore
 * and shutdown always find a worker.
 *
 * A place is a word of shared memory that names the slot that holds it, and is taken by
 * compare-and-swap. So a count is always true, and the supervisor can free the places of
 * a dead worker.
 *
 * A session that only looks on (WATCH, a reader of a durable session) holds a look place
 * besides, and must leave room: of the N - 1 there are some that only programs and files take, as
 * many as half of the workers. Programs take those first. So no program is refused for lookers
 * while fewer than half of N run, and nobody has to count for that.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SHARED_ADMISSION_H
#define SHARED_ADMISSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shared/scoreboard.h"

/* Room for why there is no place. */
#define ADMISSION_TEXT_MAX 80

enum admission_class {
	ADMISSION_NONE = 0, /* control requests need none */
	ADMISSION_FILE,	    /* any one of N - 1 */
	ADMISSION_EXEC,	    /* one of N - reserved, and one of N - 1 */
	ADMISSION_LOOK,	    /* one of N / 4, and one of N - 1 that are not kept for programs */
};

/* How many places of KIND there are. With one worker there is one of each: an
 * agent that could do nothing would be no safer. */
uint32_t admission_total(const struct scoreboard *board, enum admission_class kind);

/* Takes a place of KIND for the slot of INDEX, which has none of them. Returns false if there
 * is none. */
bool admission_take(struct scoreboard *board, uint32_t index, enum admission_class kind);

/* Frees what the slot of INDEX took; that may be nothing. For its worker. */
void admission_free(struct scoreboard *board, uint32_t index);

/* How many places of KIND are taken now. */
uint32_t admission_count_taken(const struct scoreboard *board, enum admission_class kind);

/* Why there was no place of KIND: the words that the host gets, in TEXT. What was full may
 * have emptied by now; it was full all the same. */
void admission_explain(
    const struct scoreboard *board, enum admission_class kind, char text[ADMISSION_TEXT_MAX]);

/* For the supervisor: frees every place of the slot of INDEX, whose worker has died. */
void admission_free_dead(struct scoreboard *board, uint32_t index);

/* Takes, or frees, one of the N - 1 alone, in the name of VALUE, as KIND and a worker of INDEX
 * would. */
bool admission_take_any(
    struct scoreboard *board, uint32_t index, enum admission_class kind, uint32_t value);
void admission_free_any(struct scoreboard *board, uint32_t index, uint32_t value);

#endif
