/*
 * holder_place: the place in the control lane that a durable session lays by for whoever
 * holds its input from another connection than the one that started it: so that a
 * host can always come back.
 *
 * It is one of the N - 1 that lookers may have (admission.h), taken in the name of the journal;
 * who uses it stands in the journal's record. It is given back when the session has ended
 * and nobody uses it any more: by the owner, by the one who used it, or by the supervisor,
 * whoever comes last.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SHARED_HOLDER_PLACE_H
#define SHARED_HOLDER_PLACE_H

#include <stdbool.h>
#include <stdint.h>

#include "shared/scoreboard.h"

/* The owner of JOURNAL, which it has claimed, lays a place by. Returns false if there is none;
 * admission_explain() of ADMISSION_LOOK says why. */
bool holder_place_lay_by(struct scoreboard *board, const struct journal *journal);

/* JOURNAL's session has ended, or its start has failed: gives the place back if nobody uses
 * it. */
void holder_place_settle(struct scoreboard *board, const struct journal *journal);

/* The slot of INDEX uses the place from now on, and no other slot does. Returns false if
 * it has been given back. */
bool holder_place_take(const struct journal *journal, uint32_t index);

/* Whether the slot of INDEX uses it. If not, and it did, another has taken it. */
bool holder_place_is_used_by(const struct journal *journal, uint32_t index);

/* The slot of INDEX does not use it any more, if it did. */
void holder_place_leave(struct scoreboard *board, const struct journal *journal, uint32_t index);

/* How many places are laid by, and how many of those are used. */
uint32_t holder_place_count(const struct scoreboard *board, uint32_t *ret_used);

/* For the supervisor: the worker of slot INDEX has died. Takes it out of the place that it used,
 * and gives back what is laid by for sessions that are over: its own journal is to be
 * lost by now (journal_lose()). */
void holder_place_bury(struct scoreboard *board, uint32_t index);

#endif
