/*
 * ending: the end of the service, or as PID 1 of the machine, as a row of stages. Each
 * waits for something, and for no longer than its time; between them the supervisor's
 * loop turns as ever.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SUPERVISOR_ENDING_H
#define SUPERVISOR_ENDING_H

#include <stdint.h>

#include "supervisor/supervisor_state.h"

/* Begins the end that stop_signal asks for, or goes on with it: as far as it gets
 * without waiting. Returns when it is to be called again at the latest (CLOCK_MONOTONIC
 * ms); whenever something has come is as well. The last stage does not return: it
 * exits, or ends the machine. */
uint64_t ending_step(struct supervisor *supervisor);

#endif
