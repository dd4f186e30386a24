/*
 * journals: what durable sessions need of the supervisor: the memory that their output is
 * kept in, made before the first fork; that a session whose worker died is marked lost,
 * and that what is kept is freed when its time is over. It reads no journal.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SUPERVISOR_JOURNALS_H
#define SUPERVISOR_JOURNALS_H

#include <stdbool.h>
#include <stdint.h>

#include "platform/run_clock.h"
#include "shared/journal.h"
#include "shared/scoreboard.h"

/* Of the guest's memory all of them take at most this part. */
#define JOURNALS_MEMORY_PART 16

struct journals_keeper {
	struct journal_keeper kept;
	struct run_clock clock;
	uint64_t ran_ms; /* as it was at the last look */
	bool is_still;	 /* the clock stands still */
};

/* How many bytes all journals may hold in a guest of MEMORY_BYTES where the operator
 * allows MAX_MIB. Pure. */
uint64_t journals_limit(uint64_t memory_bytes, uint32_t max_mib);

/* Makes the journals of BOARD, which may hold BYTES_MAX together, before the first fork;
 * and draws the number by which a host tells this run of the agent from another. Where
 * they can't be had, that is logged, and there are no durable sessions. */
void journals_open(struct scoreboard *board, uint64_t bytes_max);

/* The worker of slot INDEX has died because of CAUSE, and the slot is not cleared yet: its
 * session, if that is durable, is lost. Wakes all who have to do with durable sessions. */
void journals_bury(struct scoreboard *board, uint32_t index, const char *cause);

/* No time passes for what is kept; it does so again. */
void journals_stop_clock(struct journals_keeper *keeper, uint64_t now_ms);
void journals_start_clock(struct journals_keeper *keeper, uint64_t now_ms);

/* Frees what was kept for its time, and what is forgotten (after STALL_MS at the latest).
 * To be called in each turn. NOW_MS is of CLOCK_MONOTONIC, and so is what it returns: when
 * to come again, or CLOCK_NEVER. */
uint64_t journals_step(
    struct scoreboard *board, struct journals_keeper *keeper, uint64_t now_ms, uint64_t stall_ms);

#endif
