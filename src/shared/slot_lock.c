/*
 * SPDX-License-Identifier: MIT
 */
#include "shared/slot_lock.h"

#include <errno.h>

#include "platform/clock.h"

/* No event tells that it was given back. */
#define SLOT_LOCK_TRIES 250
#define SLOT_LOCK_PAUSE_MS 4

bool
slot_lock_try(_Atomic uint32_t *lock, uint32_t workers, uint32_t index)
{
	uint32_t there = atomic_load(lock);

	if (there != 0 && there <= workers)
		return false;
	return atomic_compare_exchange_strong(lock, &there, index + 1);
}

int
slot_lock_take(_Atomic uint32_t *lock, uint32_t workers, uint32_t index)
{
	for (int i = 0; i < SLOT_LOCK_TRIES; i++) {
		if (slot_lock_try(lock, workers, index))
			return 0;
		clock_sleep_ms(SLOT_LOCK_PAUSE_MS);
	}
	return -EBUSY;
}

void
slot_lock_give(_Atomic uint32_t *lock, uint32_t index)
{
	uint32_t there = index + 1;

	(void)atomic_compare_exchange_strong(lock, &there, 0);
}
