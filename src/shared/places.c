/*
 * places: the control lane.
 */
#include "shared/places.h"

#include <stdatomic.h>

uint32_t
places_total(const struct scoreboard *board, enum places_kind kind)
{
	if (board->workers == 1)
		return 1;
	return kind == PLACES_EXEC ? board->workers - board->reserved : board->workers - 1;
}

/* Starting at the slot's own word, workers seldom meet at one. */
static bool
places_take_word(_Atomic uint32_t *words, uint32_t count, uint32_t index)
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
places_free_words(_Atomic uint32_t *words, uint32_t count, uint32_t index)
{
	for (uint32_t i = 0; i < count; i++) {
		uint32_t expected = index + 1;

		if (atomic_load_explicit(&words[i], memory_order_relaxed) == expected)
			(void)atomic_compare_exchange_strong(&words[i], &expected, 0);
	}
}

bool
places_take(struct scoreboard *board, uint32_t index, enum places_kind kind)
{
	if (kind == PLACES_NONE)
		return true;
	if (!places_take_word(board->any_places, places_total(board, PLACES_FILE), index))
		return false;
	if (kind == PLACES_FILE)
		return true;
	if (places_take_word(board->exec_places, places_total(board, PLACES_EXEC), index))
		return true;
	places_free(board, index);
	return false;
}

void
places_free(struct scoreboard *board, uint32_t index)
{
	places_free_words(board->exec_places, places_total(board, PLACES_EXEC), index);
	places_free_words(board->any_places, places_total(board, PLACES_FILE), index);
}

uint32_t
places_count_taken(const struct scoreboard *board, enum places_kind kind)
{
	const _Atomic uint32_t *words =
	    kind == PLACES_EXEC ? board->exec_places : board->any_places;
	uint32_t count = places_total(board, kind);
	uint32_t taken = 0;

	for (uint32_t i = 0; i < count; i++)
		taken += atomic_load_explicit(&words[i], memory_order_relaxed) != 0;
	return taken;
}
