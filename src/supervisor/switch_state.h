/*
 * switch_state: what the switch's parts share: switch_freeze.c freezes, switch.c holds and
 * thaws. For them alone.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SUPERVISOR_SWITCH_STATE_H
#define SUPERVISOR_SWITCH_STATE_H

#include <stdint.h>

#include "platform/hold_timer.h"
#include "supervisor/switch.h"

struct switch_state {
	const struct switch_options *options;
	const struct freezer *freezer;
	struct switch_ledger *ledger;
	struct quiesce_report *report;
	uint64_t deadline_ms; /* CLOCK_MONOTONIC, of all steps */
	int timer_fd;
	enum quiesce_thaw_why why;
	struct hold_timer timer;
	struct switch_files files;
};

/* Makes all steps, up to one that fails, and reports them. Returns 0 or -errno: then all that
 * was frozen is so still. */
int switch_freeze(struct switch_state *state);

/* The whole hold begins; and the same where it has not begun yet: it does with whatever is
 * frozen first. */
void switch_set_hold(struct switch_state *state);
void switch_begin_hold(struct switch_state *state);

/* The timer has been set: writes down when it is over. */
void switch_note_hold(struct switch_state *state);

#endif
