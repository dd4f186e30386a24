/*
 * SPDX-License-Identifier: MIT
 */
#include "shared/holder_place.h"

#include <stdatomic.h>

#include "shared/admission.h"

/* A word of the control lane: this mark, the journal's generation, its index. */
#define HOLDER_PLACE_MARK (UINT32_C(1) << 31)
#define HOLDER_PLACE_INDEX_BITS 5
#define HOLDER_PLACE_INDEX_MASK ((UINT32_C(1) << HOLDER_PLACE_INDEX_BITS) - 1)
_Static_assert(JOURNAL_COUNT <= HOLDER_PLACE_INDEX_MASK + 1, "an index has its bits");

/* In a record, which else has the slot + 1 that uses the place, or 0. */
#define HOLDER_PLACE_GIVEN_BACK UINT32_MAX

static uint32_t
holder_place_word(uint32_t index, uint32_t generation)
{
	return HOLDER_PLACE_MARK | ((generation << HOLDER_PLACE_INDEX_BITS) & ~HOLDER_PLACE_MARK) |
	       index;
}

bool
holder_place_lay_by(struct scoreboard *board, const struct journal *journal)
{
	return admission_take_any(board, journal->index, ADMISSION_LOOK,
	    holder_place_word(journal->index, journal->generation));
}

/* Whether the session of the word that RECORD's state is needs no place any more. */
static bool
holder_place_is_over(uint64_t state)
{
	return (uint32_t)state != JOURNAL_CLAIMED && (uint32_t)state != JOURNAL_RUNS;
}

/* Gives back WORD, which is of the journal of INDEX. */
static void
holder_place_settle_word(struct scoreboard *board, uint32_t index, uint32_t word)
{
	struct journal_record *record = &board->journals.records[index];
	uint64_t state = atomic_load(&record->state);
	uint32_t user = 0;

	if (word == holder_place_word(index, (uint32_t)(state >> JOURNAL_GENERATION_SHIFT))) {
		if (!holder_place_is_over(state))
			return;
		/* From here on nobody can take it. */
		if (!atomic_compare_exchange_strong(
			&record->holder_place, &user, HOLDER_PLACE_GIVEN_BACK) &&
		    user != HOLDER_PLACE_GIVEN_BACK)
			return;
	}
	admission_free_any(board, index, word);
}

void
holder_place_settle(struct scoreboard *board, const struct journal *journal)
{
	holder_place_settle_word(
	    board, journal->index, holder_place_word(journal->index, journal->generation));
}

bool
holder_place_take(const struct journal *journal, uint32_t index)
{
	_Atomic uint32_t *place = &journal->record->holder_place;
	uint32_t user = atomic_load(place);

	while (user != HOLDER_PLACE_GIVEN_BACK)
		if (atomic_compare_exchange_weak(place, &user, index + 1))
			break;
	if (user == HOLDER_PLACE_GIVEN_BACK || journal_is_there(journal))
		return user != HOLDER_PLACE_GIVEN_BACK;
	/* It has become another session's. */
	user = index + 1;
	(void)atomic_compare_exchange_strong(place, &user, 0);
	return false;
}

bool
holder_place_is_used_by(const struct journal *journal, uint32_t index)
{
	return atomic_load(&journal->record->holder_place) == index + 1;
}

void
holder_place_leave(struct scoreboard *board, const struct journal *journal, uint32_t index)
{
	uint32_t user = index + 1;

	if (atomic_compare_exchange_strong(&journal->record->holder_place, &user, 0))
		holder_place_settle(board, journal);
}

uint32_t
holder_place_count(const struct scoreboard *board, uint32_t *ret_used)
{
	uint32_t count = 0;

	*ret_used = 0;
	for (uint32_t i = 0; i < admission_total(board, ADMISSION_FILE); i++) {
		uint32_t word = atomic_load(&board->places[ADMISSION_FILE][i]);
		uint32_t index = word & HOLDER_PLACE_INDEX_MASK;
		uint32_t user = atomic_load(&board->journals.records[index].holder_place);

		if ((word & HOLDER_PLACE_MARK) == 0)
			continue;
		count++;
		*ret_used += user != 0 && user != HOLDER_PLACE_GIVEN_BACK;
	}
	return count;
}

void
holder_place_bury(struct scoreboard *board, uint32_t index)
{
	for (uint32_t i = 0; i < JOURNAL_COUNT; i++) {
		uint32_t user = index + 1;

		(void)atomic_compare_exchange_strong(
		    &board->journals.records[i].holder_place, &user, 0);
	}
	for (uint32_t i = 0; i < admission_total(board, ADMISSION_FILE); i++) {
		uint32_t word = atomic_load(&board->places[ADMISSION_FILE][i]);

		if ((word & HOLDER_PLACE_MARK) != 0)
			holder_place_settle_word(board, word & HOLDER_PLACE_INDEX_MASK, word);
	}
}
