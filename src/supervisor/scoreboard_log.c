/*
 * SPDX-License-Identifier: MIT
 */
#include "supervisor/scoreboard_log.h"

#include <stdatomic.h>

#include "platform/log.h"

static void
scoreboard_log_slot(const struct scoreboard *board, uint32_t index)
{
	const struct slot *slot = &board->slots[index];

	if (atomic_load(&slot->phase) == SLOT_IDLE)
		return;
	log_info("slot %u: pid %d, %.*s, session %llu, child %d, in %llu, out %llu%s%.*s", index,
	    atomic_load(&slot->worker_pid), SCOREBOARD_KIND_MAX - 1, slot->kind,
	    (unsigned long long)atomic_load(&slot->session), atomic_load(&slot->child_pid),
	    (unsigned long long)atomic_load(&slot->bytes_in),
	    (unsigned long long)atomic_load(&slot->bytes_out), slot->name[0] != '\0' ? ", " : "",
	    VMM_GUEST_NAME_MAX, slot->name);
}

void
scoreboard_log(const struct scoreboard *board)
{
	log_info("scoreboard: %u workers, %u idle; sessions: %llu started, %llu refused; "
		 "worker deaths: %llu",
	    board->workers, scoreboard_count_idle(board),
	    (unsigned long long)atomic_load(&board->counts.started),
	    (unsigned long long)atomic_load(&board->counts.refused),
	    (unsigned long long)atomic_load(&board->deaths.total));
	for (uint32_t i = 0; i < board->workers; i++)
		scoreboard_log_slot(board, i);
}
