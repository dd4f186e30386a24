/*
 * SPDX-License-Identifier: MIT
 */
#include "shared/admission.h"

#include <stdatomic.h>

uint32_t
admission_total(const struct scoreboard *board, enum admission_class kind)
{
	if (board->workers == 1)
		return 1;
	return kind == ADMISSION_EXEC ? board->workers - board->reserved : board->workers - 1;
}

/* Each worker starts at its own slot's word, so that two seldom meet at one. */
static bool
admission_take_word(_Atomic uint32_t *words, uint32_t count, uint32_t index)
{
	for (uint32_t i = 0; i < count; i++) {
		_Atomic uint32_t *word = &words[(index + i) % count];
		uint32_t expected = 0;

		if (atomic_load_explicit(word, memory_order_relaxed) == 0 &&
		    atomic_compare_exchange_strong(word, &expected, index + 1))
			return true;
	}
	return false;
}

static void
admission_free_words(_Atomic uint32_t *words, uint32_t count, uint32_t index)
{
	for (uint32_t i = 0; i < count; i++) {
		uint32_t expected = index + 1;

		if (atomic_load_explicit(&words[i], memory_order_relaxed) == expected)
			(void)atomic_compare_exchange_strong(&words[i], &expected, 0);
	}
}

bool
admission_take(struct scoreboard *board, uint32_t index, enum admission_class kind)
{
	if (kind == ADMISSION_NONE)
		return true;
	if (!admission_take_word(board->any_places, admission_total(board, ADMISSION_FILE), index))
		return false;
	if (kind == ADMISSION_FILE)
		return true;
	if (admission_take_word(board->exec_places, admission_total(board, ADMISSION_EXEC), index))
		return true;
	admission_free(board, index);
	return false;
}

void
admission_free(struct scoreboard *board, uint32_t index)
{
	admission_free_words(board->exec_places, admission_total(board, ADMISSION_EXEC), index);
	admission_free_words(board->any_places, admission_total(board, ADMISSION_FILE), index);
}

uint32_t
admission_count_taken(const struct scoreboard *board, enum admission_class kind)
{
	const _Atomic uint32_t *words =
	    kind == ADMISSION_EXEC ? board->exec_places : board->any_places;
	uint32_t count = admission_total(board, kind);
	uint32_t taken = 0;

	for (uint32_t i = 0; i < count; i++)
		taken += atomic_load_explicit(&words[i], memory_order_relaxed) != 0;
	return taken;
}
