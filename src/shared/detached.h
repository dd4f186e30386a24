/*
 * detached: the detached programs, in memory that supervisor and workers share. A worker
 * enlists one and exits. From then on the program is the supervisor's child, and the
 * supervisor alone signals it and strikes it off
 * (supervisor/detached_child.h).
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SHARED_DETACHED_H
#define SHARED_DETACHED_H

#include <stdbool.h>
#include <stdint.h>

#include "shared/scoreboard.h"

/* Enters the main process PID of the session in SLOT. Returns its entry, or NULL
 * if the list is full. */
struct scoreboard_detached *detached_enlist(
    struct scoreboard *board, const struct slot *slot, int32_t pid);

/* The entry of the session NUMBER, or NULL. */
struct scoreboard_detached *detached_find(struct scoreboard *board, uint64_t number);

/* Strikes ENTRY off where its main process is gone and its cgroup below SESSION_CGROUPS_FD
 * (-1: none) is empty, and removes the cgroup. For the supervisor alone: as soon as it is
 * struck off, a worker may enter another in its place. */
void detached_strike_if_empty(struct scoreboard_detached *entry, int session_cgroups_fd);

#endif
