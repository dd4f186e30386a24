/*
 * slot_lock: a lock of shared memory for workers: a word that names the slot whose worker has
 * it. It dies with that: the supervisor takes it back before it forks the next, so that
 * nobody waits for the dead. A robust mutex would have each unlock follow pointers that any
 * worker can overwrite.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SHARED_SLOT_LOCK_H
#define SHARED_SLOT_LOCK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* Takes LOCK for the worker of slot INDEX, where nobody has it. What no slot of WORKERS can
 * have left there counts as nobody. */
bool slot_lock_try(_Atomic uint32_t *lock, uint32_t workers, uint32_t index);

/* The same, but waits for at most a second: for what is done in no time. Returns 0 or -EBUSY. */
int slot_lock_take(_Atomic uint32_t *lock, uint32_t workers, uint32_t index);

/* Gives it back, if it is that slot's: by its worker, or by the supervisor when that has died. */
void slot_lock_give(_Atomic uint32_t *lock, uint32_t index);

#endif
