/*
 * entropy: the kernel's random pool, fed by the host. See random(4).
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PLATFORM_ENTROPY_H
#define PLATFORM_ENTROPY_H

#include <stddef.h>
#include <stdint.h>

/* Adds LEN bytes (at most ENTROPY_MAX, or none) to the pool, credits them in full, and
 * has the generator seed itself anew: after a snapshot its clones would draw
 * the same numbers. Returns 0; -EPERM without CAP_SYS_ADMIN; or -errno. */
#define ENTROPY_MAX 1024
int entropy_credit(const uint8_t *bytes, size_t len);

/* Fills LEN bytes, at most 256, with what no other run of the guest will draw. Never waits:
 * where the pool is not full yet, what is in it has to do. Not for secrets.
 * Returns 0 or -errno. */
int entropy_draw(void *bytes, size_t len);

#endif
