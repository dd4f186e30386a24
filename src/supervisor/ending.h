/*
 * ending: the end of the service, or as PID 1 of the machine, as a row of stages. Each
 * waits for something, and for no longer than its time; between them the supervisor's
 * loop turns as ever.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SUPERVISOR_ENDING_H
#define SUPERVISOR_ENDING_H

#include <signal.h>
#include <stdint.h>

#include "supervisor/supervisor_state.h"

/* Begins the end that stop_signal asks for, or goes on with it: as far as it gets
 * without waiting. Returns when it is to be called again at the latest (CLOCK_MONOTONIC
 * ms); whenever something has come is as well. The last stage does not return: it
 * exits, or ends the machine. */
uint64_t ending_step(struct supervisor *supervisor);

/* Takes note of it if INFO, of waitid(2), is the end of the program that tells the guest's
 * init of the end. */
void ending_bury(struct supervisor *supervisor, const siginfo_t *info);

#endif
