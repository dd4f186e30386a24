/*
 * slot_wake: how a worker is woken by another process: by SIGUSR1, which means nothing but
 * "look at your slot", and which a worker lets through only while it waits. It is a signal
 * and not a bell, as a bell for each slot would be that many more descriptors to copy
 * whenever a program starts.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SHARED_SLOT_WAKE_H
#define SHARED_SLOT_WAKE_H

#include "shared/scoreboard.h"

/* Wakes the worker of SLOT. Returns 0, or -errno: it is not there. */
int slot_wake(const struct slot *slot);

#endif
