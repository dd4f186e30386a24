/*
 * journal_free: how a journal becomes free; for the parts of journal.h alone.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SHARED_JOURNAL_FREE_H
#define SHARED_JOURNAL_FREE_H

#include <stdbool.h>
#include <stdint.h>

#include "shared/scoreboard.h"

/* Frees the journal of INDEX where its state still is SEEN: nobody finds it any more, its
 * readers see that it is gone, and its pages are given back, before it can be claimed. Should
 * the worker of OWNER (slot index + 1; 0: the supervisor) die meanwhile, journal_lose() does
 * the rest. Returns whether it was ours to free. */
bool journal_free(struct scoreboard *board, uint32_t index, uint64_t seen, uint32_t owner);

/* The rest of that, from the state FREEING on. */
void journal_free_finish(struct scoreboard *board, uint32_t index);

#endif
