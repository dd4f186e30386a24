/*
 * SPDX-License-Identifier: MIT
 */
#include "worker/crowd.h"

#include <stdatomic.h>

#include "platform/clock.h"
#include "session/stop.h"
#include "shared/slot_wake.h"

/* A host that speaks at once does so within this. */
#define CROWD_PATIENCE_MS 2

uint64_t
crowd_first_look_ms(const struct scoreboard *board)
{
	uint64_t now = clock_mono_ms();

	if (atomic_load_explicit(&board->parked, memory_order_relaxed) > 0 &&
	    scoreboard_count_idle(board) == 0)
		return now;
	return now + CROWD_PATIENCE_MS;
}

/* A worker that begins to wait writes this, then looks for idle ones; one that stops being idle
 * looks at this afterwards: so that one of the two sees the other. */
bool
crowd_is_in_the_way(struct session *session)
{
	atomic_store(&session->slot->is_silent, 1);
	atomic_store(&session->board->has_silent, 1);
	return stop_is_requested() || scoreboard_count_idle(session->board) == 0;
}

static bool
crowd_wake_one(struct scoreboard *board)
{
	for (uint32_t i = 0; i < board->workers; i++) {
		struct slot *slot = &board->slots[i];

		if (atomic_load(&slot->is_silent) != 0 &&
		    atomic_exchange(&slot->is_silent, 0) != 0 && slot_wake(slot) == 0)
			return true;
	}
	return false;
}

void
crowd_make_way(struct scoreboard *board)
{
	if (atomic_load(&board->has_silent) == 0 || scoreboard_count_idle(board) > 0)
		return;
	if (crowd_wake_one(board))
		return;
	atomic_store(&board->has_silent, 0);
	/* One that has begun meanwhile may have said so before that. */
	if (crowd_wake_one(board))
		atomic_store(&board->has_silent, 1);
}

void
crowd_end_silence(struct session *session)
{
	atomic_store(&session->slot->is_silent, 0);
	/* We may be the one that was woken for that. */
	crowd_make_way(session->board);
}
