/*
 * begin: what the supervisor must have before it can serve: its signals, and a
 * scoreboard for as many workers as the guest has room for.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SUPERVISOR_BEGIN_H
#define SUPERVISOR_BEGIN_H

#include "supervisor/supervisor_state.h"

/* Blocks all signals, and sets which of them mean something to us: they are to be taken
 * one by one. */
void supervisor_take_signals(struct supervisor *supervisor);

/* Makes the scoreboard, which fixes the number of workers. As PID 1 it comes back only
 * with one, be it smaller; as a service it ends this process where there is no memory. */
void supervisor_make_board(struct supervisor *supervisor);

#endif
