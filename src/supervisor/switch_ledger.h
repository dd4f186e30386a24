/*
 * switch_ledger: what is frozen, or may be, in memory that the supervisor shares with the
 * switch and with no worker. It is written before each freeze: a switch that is killed leaves
 * all that the next one has to thaw.
 *
 * The descriptors of the file systems lie in a queue of the supervisor's (platform/fd_keep.h),
 * in the same order. They were put there before COUNT was written.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SUPERVISOR_SWITCH_LEDGER_H
#define SUPERVISOR_SWITCH_LEDGER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "platform/fd_keep.h"

enum switch_ledger_state {
	SWITCH_LEDGER_OPEN = 0, /* not frozen by us */
	SWITCH_LEDGER_FREEZING, /* the call is about to be made, and may have been */
	SWITCH_LEDGER_FROZEN,
	SWITCH_LEDGER_THAWED,
};

struct switch_ledger {
	_Atomic uint64_t hold_until_ms; /* CLOCK_BOOTTIME; 0: nothing was frozen yet */
	_Atomic uint32_t has_sessions;	/* they may be frozen */
	_Atomic uint32_t is_held;	/* all that was to be done was done */
	_Atomic uint32_t count;
	_Atomic uint32_t states[FD_KEEP_MAX]; /* enum switch_ledger_state */
};

/* Makes one, all zero. Returns 0 with *RET, for switch_ledger_free(), or -errno. */
int switch_ledger_new(struct switch_ledger **ret);

/* Takes it out of this process's memory, and leaves NULL there. */
void switch_ledger_free(struct switch_ledger **ledger);

/* Whether a process that is forked from now on has it; at first none does. */
void switch_ledger_lend(struct switch_ledger *ledger, bool is_lent);

/* Whether nothing is frozen, for all that is known. */
bool switch_ledger_is_clear(const struct switch_ledger *ledger);

/* Whether the file system INDEX may be frozen by us. */
bool switch_ledger_may_be_frozen(const struct switch_ledger *ledger, uint32_t index);

#endif
