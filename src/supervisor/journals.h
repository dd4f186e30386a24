/*
 * journals: what durable sessions need of the supervisor: the memory that their output is
 * kept in, made before the first fork. It reads no journal.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SUPERVISOR_JOURNALS_H
#define SUPERVISOR_JOURNALS_H

#include <stdint.h>

#include "shared/scoreboard.h"

/* With fewer workers there are no durable sessions: one would hold the place of its program
 * and the one by which a host comes back, beside the reserved ones. */
#define JOURNALS_WORKERS_MIN 4

/* Of the guest's memory all of them take at most this part. */
#define JOURNALS_MEMORY_PART 16

/* How many bytes all journals may hold in a guest of MEMORY_BYTES where the operator
 * allows MAX_MIB. Pure. */
uint64_t journals_limit(uint64_t memory_bytes, uint32_t max_mib);

/* Makes the journals of BOARD, which may hold BYTES_MAX together, before the first fork;
 * and draws the number by which a host tells this run of the agent from another. Where
 * they can't be had, that is logged, and there are no durable sessions. */
void journals_open(struct scoreboard *board, uint64_t bytes_max);

#endif
