/*
 * watchdog: a timer of the kernel's that kills this process, unless it is called
 * off in time. For what may block where no signal of ours gets through, as
 * vfork's parent does while its child's exec waits for a dead file system.
 * See timer_create(2).
 */
#ifndef PLATFORM_WATCHDOG_H
#define PLATFORM_WATCHDOG_H

#include <stdint.h>

/* Makes this process's timer; it is not inherited by fork(2). Returns 0 or -errno. */
int watchdog_init(void);

/* SIGKILL in TIMEOUT_MS milliseconds; 0 calls it off. Does nothing where
 * watchdog_init() failed. */
void watchdog_set(uint32_t timeout_ms);

#endif
