/*
 * scoreboard_log: what the workers are doing, for readers of the log who can't ask for
 * STATUS.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SUPERVISOR_SCOREBOARD_LOG_H
#define SUPERVISOR_SCOREBOARD_LOG_H

#include "shared/scoreboard.h"

/* Logs one line for all of BOARD, and one for each worker that has a connection. */
void scoreboard_log(const struct scoreboard *board);

#endif
