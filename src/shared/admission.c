/*
 * SPDX-License-Identifier: MIT
 */
#include "shared/admission.h"

#include <stdatomic.h>

#include "platform/text.h"

/* Below this, one place is all there is, and nothing is kept for programs. */
#define ADMISSION_WORKERS_TO_KEEP 3

#define ADMISSION_LOOK_SHARE 4

static uint32_t
admission_min(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

uint32_t
admission_total(const struct scoreboard *board, enum admission_class kind)
{
	uint32_t looks = board->workers / ADMISSION_LOOK_SHARE;

	if (board->workers == 1)
		return 1;
	if (kind == ADMISSION_EXEC)
		return board->workers - board->reserved;
	if (kind == ADMISSION_LOOK)
		return looks > 0 ? looks : 1;
	return board->workers - 1;
}

/* How many of the N - 1 lookers don't take. */
static uint32_t
admission_kept(const struct scoreboard *board)
{
	if (board->workers < ADMISSION_WORKERS_TO_KEEP)
		return 0;
	return admission_min(board->workers / 2, admission_total(board, ADMISSION_EXEC));
}

/* Puts TO into the first word that is FROM. Each worker starts at its own slot's word, so that
 * two seldom meet at one. */
static bool
admission_swap_word(
    _Atomic uint32_t *words, uint32_t count, uint32_t index, uint32_t from, uint32_t to)
{
	for (uint32_t i = 0; i < count; i++) {
		_Atomic uint32_t *word = &words[(index + i) % count];
		uint32_t expected = from;

		if (atomic_load_explicit(word, memory_order_relaxed) == from &&
		    atomic_compare_exchange_strong(word, &expected, to))
			return true;
	}
	return false;
}

/* The same among all places of KIND. */
static bool
admission_swap(
    struct scoreboard *board, enum admission_class kind, uint32_t index, uint32_t from, uint32_t to)
{
	return admission_swap_word(
	    board->places[kind], admission_total(board, kind), index, from, to);
}

/* Programs take what is kept for them first, files last. */
bool
admission_take_any(
    struct scoreboard *board, uint32_t index, enum admission_class kind, uint32_t value)
{
	_Atomic uint32_t *words = board->places[ADMISSION_FILE];
	uint32_t kept = admission_kept(board);
	uint32_t rest = admission_total(board, ADMISSION_FILE) - kept;

	if (kind == ADMISSION_EXEC && admission_swap_word(words, kept, index, 0, value))
		return true;
	if (admission_swap_word(words + kept, rest, index, 0, value))
		return true;
	return kind == ADMISSION_FILE && admission_swap_word(words, kept, index, 0, value);
}

void
admission_free_any(struct scoreboard *board, uint32_t index, uint32_t value)
{
	_Atomic uint32_t *words = board->places[ADMISSION_FILE];
	uint32_t kept = admission_kept(board);
	uint32_t rest = admission_total(board, ADMISSION_FILE) - kept;

	if (!admission_swap_word(words, kept, index, value, 0))
		(void)admission_swap_word(words + kept, rest, index, value, 0);
}

bool
admission_take(struct scoreboard *board, uint32_t index, enum admission_class kind)
{
	if (kind == ADMISSION_NONE)
		return true;
	/* Before the words: what is taken in the middle of this is freed as well. */
	atomic_store_explicit(&board->slots[index].admission, (uint8_t)kind, memory_order_relaxed);
	if (admission_take_any(board, index, kind, index + 1) &&
	    (kind == ADMISSION_FILE || admission_swap(board, kind, index, 0, index + 1)))
		return true;
	admission_free(board, index);
	return false;
}

void
admission_free(struct scoreboard *board, uint32_t index)
{
	_Atomic uint8_t *holds = &board->slots[index].admission;
	enum admission_class kind = atomic_load_explicit(holds, memory_order_relaxed);

	if (kind == ADMISSION_NONE)
		return;
	if (kind == ADMISSION_EXEC || kind == ADMISSION_LOOK)
		(void)admission_swap(board, kind, index, index + 1, 0);
	admission_free_any(board, index, index + 1);
	atomic_store_explicit(holds, ADMISSION_NONE, memory_order_relaxed);
}

uint32_t
admission_count_taken(const struct scoreboard *board, enum admission_class kind)
{
	const _Atomic uint32_t *words = board->places[kind];
	uint32_t count = admission_total(board, kind);
	uint32_t taken = 0;

	for (uint32_t i = 0; i < count; i++)
		taken += atomic_load_explicit(&words[i], memory_order_relaxed) != 0;
	return taken;
}

void
admission_explain(
    const struct scoreboard *board, enum admission_class kind, char text[ADMISSION_TEXT_MAX])
{
	const size_t size = ADMISSION_TEXT_MAX;
	uint32_t total = admission_total(board, kind);
	uint32_t taken = admission_count_taken(board, kind);
	uint32_t most = admission_total(board, ADMISSION_FILE);
	uint32_t held = admission_count_taken(board, ADMISSION_FILE);

	if (kind != ADMISSION_FILE && taken == total)
		(void)text_format(text, size, "busy: %u of %u %s workers are in use", taken, total,
		    kind == ADMISSION_EXEC ? "exec" : "look");
	else if (kind == ADMISSION_LOOK && held < most)
		(void)text_format(
		    text, size, "busy: workers left: %u, kept for programs", most - held);
	else
		(void)text_format(
		    text, size, "busy: all %u workers that may serve this are in use", most);
}

void
admission_free_dead(struct scoreboard *board, uint32_t index)
{
	for (enum admission_class kind = ADMISSION_FILE; kind <= ADMISSION_LOOK; kind++) {
		while (admission_swap(board, kind, index, index + 1, 0))
			;
	}
	atomic_store(&board->slots[index].admission, ADMISSION_NONE);
}
