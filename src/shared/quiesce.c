/*
 * SPDX-License-Identifier: MIT
 */
#include "shared/quiesce.h"

#include <errno.h>
#include <string.h>

/* The word: number, phase. The ask: number, kind, reason. */
#define QUIESCE_BYTE 8
#define QUIESCE_BYTE_MASK 0xffu

static uint64_t
quiesce_word(uint64_t number, enum quiesce_phase phase)
{
	return number << QUIESCE_BYTE | (uint64_t)phase;
}

static enum quiesce_phase
quiesce_phase_of(uint64_t word)
{
	return (enum quiesce_phase)(word & QUIESCE_BYTE_MASK);
}

enum quiesce_phase
quiesce_phase(const struct quiesce *quiesce)
{
	return quiesce_phase_of(atomic_load(&quiesce->word));
}

uint64_t
quiesce_number(const struct quiesce *quiesce)
{
	return atomic_load(&quiesce->word) >> QUIESCE_BYTE;
}

bool
quiesce_is_raised(const struct quiesce *quiesce)
{
	return quiesce_phase_of(atomic_load_explicit(&quiesce->word, memory_order_relaxed)) >=
	       QUIESCE_RESTING;
}

/* ---- for workers --------------------------------------------------------- */

int
quiesce_claim(struct quiesce *quiesce, uint32_t index, const struct quiesce_order *order,
    uint64_t *ret_number)
{
	uint64_t word = atomic_load(&quiesce->word);
	uint64_t number = (word >> QUIESCE_BYTE) + 1;

	if (quiesce_phase_of(word) != QUIESCE_NONE ||
	    !atomic_compare_exchange_strong(
		&quiesce->word, &word, quiesce_word(number, QUIESCE_CLAIMED)))
		return -EBUSY;
	atomic_store(&quiesce->holder, index + 1);
	quiesce->order = *order;
	memset(&quiesce->report, 0, sizeof(quiesce->report));
	atomic_store(&quiesce->word, quiesce_word(number, QUIESCE_ASKED));
	*ret_number = number;
	return 0;
}

int
quiesce_ask(struct quiesce *quiesce, enum quiesce_ask_kind kind, enum quiesce_thaw_why why)
{
	uint64_t word = atomic_load(&quiesce->word);
	uint64_t number = word >> QUIESCE_BYTE;
	uint64_t ask = (number << QUIESCE_BYTE | (uint64_t)kind) << QUIESCE_BYTE | (uint64_t)why;
	uint64_t standing = atomic_load(&quiesce->ask);

	if (quiesce_phase_of(word) < QUIESCE_ASKED)
		return -ENODATA;
	do {
		/* What was left of an earlier number is nobody's. The end goes before all. */
		if (standing >> 2 * QUIESCE_BYTE == number && standing != 0) {
			if ((standing >> QUIESCE_BYTE & QUIESCE_BYTE_MASK) == QUIESCE_ASK_THAW)
				return 0;
			if (kind != QUIESCE_ASK_THAW)
				return -EBUSY;
		}
	} while (!atomic_compare_exchange_weak(&quiesce->ask, &standing, ask));
	return 0;
}

/* ---- for the supervisor and the switch ----------------------------------- */

bool
quiesce_bury(struct quiesce *quiesce, uint32_t index)
{
	uint64_t word = atomic_load(&quiesce->word);

	if (quiesce_phase_of(word) == QUIESCE_NONE || atomic_load(&quiesce->holder) != index + 1)
		return false;
	if (quiesce_phase_of(word) != QUIESCE_CLAIMED)
		return true;
	atomic_store(&quiesce->word, quiesce_word(word >> QUIESCE_BYTE, QUIESCE_NONE));
	return false;
}

void
quiesce_set_phase(struct quiesce *quiesce, uint64_t number, enum quiesce_phase phase)
{
	atomic_store(&quiesce->word, quiesce_word(number, phase));
}

enum quiesce_ask_kind
quiesce_take_ask(struct quiesce *quiesce, uint64_t number, enum quiesce_thaw_why *ret_why)
{
	uint64_t ask = atomic_exchange(&quiesce->ask, 0);
	uint64_t why = ask & QUIESCE_BYTE_MASK;
	uint64_t kind = ask >> QUIESCE_BYTE & QUIESCE_BYTE_MASK;

	if (ask >> 2 * QUIESCE_BYTE != number || kind > QUIESCE_ASK_HOLD)
		return QUIESCE_ASK_NONE;
	*ret_why = why < QUIESCE_THAW_OTHER ? (enum quiesce_thaw_why)why : QUIESCE_THAW_OTHER;
	return (enum quiesce_ask_kind)kind;
}

void
quiesce_end(struct quiesce *quiesce, uint64_t number, enum quiesce_thaw_why why)
{
	atomic_store(&quiesce->why, (uint32_t)why);
	atomic_store(&quiesce->holder, 0);
	atomic_store(&quiesce->ask, 0);
	atomic_store(&quiesce->word, quiesce_word(number, QUIESCE_NONE));
}

/* ---- the report ------------------------------------------------------------ */

void
quiesce_report_step(struct quiesce_report *report, enum quiesce_report_step_name step, uint64_t us,
    const char *error)
{
	report->steps[step].us = us;
	(void)strlcpy(report->steps[step].error, error, QUIESCE_ERROR_MAX);
	report->steps_count = (uint32_t)step + 1;
}

void
quiesce_report_place(
    struct quiesce_report *report, const char *path, const char *type, const char *why)
{
	struct quiesce_report_place *place;

	/* A worker may have written a number there. */
	if (report->places_count >= QUIESCE_PLACES_MAX)
		return;
	place = &report->places[report->places_count++];
	(void)strlcpy(place->path, path, sizeof(place->path));
	(void)strlcpy(place->type, type, sizeof(place->type));
	(void)strlcpy(place->why, why, sizeof(place->why));
}
