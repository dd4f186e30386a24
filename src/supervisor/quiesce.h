/*
 * quiesce: what the supervisor does that the guest can stand still: it takes the order that a
 * worker has laid into the scoreboard, forks the switch (switch.h) that carries it out, and
 * the next one if that dies; and ends it. It makes no call itself that a disk could hold up.
 *
 * What it believes is wait(2) and the ledger. The order is checked as a stranger's.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SUPERVISOR_QUIESCE_H
#define SUPERVISOR_QUIESCE_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include "platform/run_clock.h"
#include "shared/quiesce.h"
#include "supervisor/switch_ledger.h"

struct supervisor;

/* The switch is late when it takes longer than within_ms, or than hold_ms, and this. */
#define SUPERVISOR_QUIESCE_LATE_MS 1000

/* One at a time; all zero: none. */
struct supervisor_quiesce {
	bool is_on;
	bool is_successor; /* the switch has died: whatever is forked now thaws */
	int keep_read_fd;  /* of the queue of descriptors; see fd_keep.h */
	int keep_write_fd;
	struct switch_ledger *ledger;
	uint64_t number;
	uint64_t started_ms; /* CLOCK_MONOTONIC */
	uint64_t fork_at_ms; /* the same: when a successor is due */
	uint64_t late_ms;    /* by CLOCK: when the switch is; CLOCK_NEVER: that was seen to */
	uint64_t hold_seen;  /* what of the ledger LATE_MS was made of */
	struct run_clock clock;
	enum quiesce_thaw_why why;  /* of a successor */
	struct quiesce_order order; /* a copy */
};

/* Takes an order, forks what is to be forked, and sees to a switch that is late. To be called
 * in each turn. Returns when to come again (CLOCK_MONOTONIC ms), or CLOCK_NEVER. */
uint64_t supervisor_quiesce_step(struct supervisor *supervisor, uint64_t now_ms);

/* The child of INFO, as of waitid(2), has ended. If it was the switch, that is the end of the
 * quiesce, or the next one is due. */
void supervisor_quiesce_bury(struct supervisor *supervisor, const siginfo_t *info);

/* The agent is to end: ends what is going on, which takes about a second where a disk does
 * not answer. */
void supervisor_quiesce_shut(struct supervisor *supervisor);

#endif
