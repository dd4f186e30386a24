/*
 * host_clock: the guest's wall clock, as the host has it: by what it says, and
 * where KVM lends its clock (platform/ptp.h) by looking.
 *
 * After a snapshot was restored the guest's clock stands where it stood. So it is
 * looked at at start and whenever a connection comes, and stepped where it is
 * off by more than 100 ms. A host that gives a time which is further off its
 * own clock than that means it: from there on only what it says counts.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SHARED_HOST_CLOCK_H
#define SHARED_HOST_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "shared/scoreboard.h"

#define HOST_CLOCK_SLACK_NS 100000000

/* Opens KVM's clock if there is one, for this process and those that it forks. */
void host_clock_init(void);

/* Steps the clock if it is off; a look costs a few microseconds, and logs nothing:
 * the host has just come. */
void host_clock_look(const struct scoreboard *board);

/* Logs what the last look has found, if that was anything. */
void host_clock_log(void);

/* Steps the clock to what the host says. Returns 0 or -errno of clock_settime(2). */
int host_clock_set(struct scoreboard *board, int64_t seconds, uint32_t nanoseconds);

/* Whether two times are too far apart. Pure. */
bool host_clock_is_off(int64_t one_ns, int64_t other_ns);

#endif
