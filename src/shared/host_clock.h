/*
 * host_clock: the guest's wall clock, as the host has it: by what it says, and
 * where KVM lends its clock (platform/ptp.h) by looking.
 *
 * After a snapshot is restored, the guest's clock shows the time of the snapshot. So it is
 * checked at the start and whenever a connection comes, and stepped if it is off by more
 * than 100 ms. A host that sets a time further than that from its own clock does so on
 * purpose: from then on only what the host says counts.
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

/* Steps the clock if it is off. A look costs a few microseconds, and logs nothing, as the
 * host is waiting. */
void host_clock_look(const struct scoreboard *board);

/* Logs what the last look has found, if that was anything. */
void host_clock_log(void);

/* Steps the clock to what the host says. Returns 0 or -errno of clock_settime(2). */
int host_clock_set(struct scoreboard *board, int64_t seconds, uint32_t nanoseconds);

/* Whether two times are too far apart. Pure. */
bool host_clock_is_off(int64_t one_ns, int64_t other_ns);

#endif
