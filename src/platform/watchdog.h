/*
 * watchdog: a timer that this process sets. Its supervisor waits for it, and then kills
 * this process. It guards calls that may block where no signal of ours gets through, as
 * vfork's parent does while its child's exec waits for a dead file system; or where not
 * even SIGKILL does, as in a wait for a FUSE server. See timerfd_create(2).
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PLATFORM_WATCHDOG_H
#define PLATFORM_WATCHDOG_H

#include <stdint.h>

/* Makes a timer: non-blocking, close-on-exec, the caller's; readable when a time that
 * was set has passed. Returns it, or -errno. */
int watchdog_open(void);

/* From the outside: the time of the timer FD is up in TIMEOUT_MS milliseconds, unless the
 * process whose it is sets it anew. */
void watchdog_set_other(int fd, uint32_t timeout_ms);

/* Gives this process the timer FD of watchdog_open() for good. If FD is an error, the calls
 * below do nothing. */
void watchdog_init(int fd);

/* Time is up in TIMEOUT_MS milliseconds; 0 calls it off. Where it runs with so much already, it
 * is watchdog_ping(). */
void watchdog_set(uint32_t timeout_ms);

/* Something has moved: the whole time stands again. May be called often: the timer is
 * set anew at most WATCHDOG_PINGS times in it. */
#define WATCHDOG_PINGS 8
void watchdog_ping(void);

/* Around a wait that is limited in another way, or may last: the time does not run
 * meanwhile, and stands again whole after it. The second leaves errno alone. */
void watchdog_pause(void);
void watchdog_resume(void);

#endif
