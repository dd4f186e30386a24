/*
 * SPDX-License-Identifier: MIT
 */
#include "shared/generation.h"

#include <errno.h>
#include <stdatomic.h>

#include "shared/slot_lock.h"

enum generation_state {
	GENERATION_NONE = 0,
	GENERATION_BEGUN,
	GENERATION_DONE,
};

/* Whether NUMBER may be begun: 0, -ESTALE or -EALREADY. */
static int
generation_compare(const struct scoreboard *board, uint64_t number, uint64_t *ret_there)
{
	uint8_t state = atomic_load(&board->generation.state);

	*ret_there = atomic_load(&board->generation.number);
	if (state == GENERATION_NONE || number > *ret_there)
		return 0;
	if (number < *ret_there)
		return -ESTALE;
	return state == GENERATION_DONE ? -EALREADY : 0;
}

int
generation_claim(struct scoreboard *board, uint32_t index, uint64_t number, uint64_t *ret_there)
{
	int r;

	if (!slot_lock_try(&board->generation.claimer, board->workers, index))
		return -EBUSY;
	r = generation_compare(board, number, ret_there);
	if (r < 0) {
		slot_lock_give(&board->generation.claimer, index);
		return r;
	}
	/* A worker that dies between any two of these leaves nothing that counts as done. */
	if (atomic_load(&board->generation.state) == GENERATION_DONE)
		atomic_store(&board->generation.state, GENERATION_BEGUN);
	atomic_store(&board->generation.number, number);
	atomic_store(&board->generation.state, GENERATION_BEGUN);
	return 0;
}

void
generation_release(struct scoreboard *board, uint32_t index, bool is_done)
{
	if (is_done)
		atomic_store(&board->generation.state, GENERATION_DONE);
	slot_lock_give(&board->generation.claimer, index);
}

void
generation_free_dead(struct scoreboard *board, uint32_t index)
{
	slot_lock_give(&board->generation.claimer, index);
}

bool
generation_look(const struct scoreboard *board, uint64_t *ret)
{
	*ret = atomic_load(&board->generation.number);
	return atomic_load(&board->generation.state) != GENERATION_NONE;
}
