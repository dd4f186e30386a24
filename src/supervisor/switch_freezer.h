/*
 * switch_freezer: the freezer of the switch that freezes: the workers by the scoreboard, the
 * sessions by their cgroup, file systems by the kernel.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SUPERVISOR_SWITCH_FREEZER_H
#define SUPERVISOR_SWITCH_FREEZER_H

#include <stdint.h>

#include "shared/scoreboard.h"
#include "supervisor/switch.h"

struct switch_freezer {
	struct scoreboard *board;
	uint64_t number;
	int session_cgroups_fd; /* -1: there is no cgroup v2 */
	struct freezer freezer; /* for switch_options */
};

/* Prepares it; everything is borrowed. */
void switch_freezer_init(struct switch_freezer *freezer, struct scoreboard *board, uint64_t number,
    int session_cgroups_fd);

#endif
