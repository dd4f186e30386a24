/*
 * hold_timer: when a hold is over, by CLOCK_BOOTTIME. Of a guest that was restored from a
 * snapshot that clock jumps by the snapshot's age, as some monitors have it; as others have
 * it, it does not. A jump shows in a wait that comes back far behind the time that it was to
 * end at. Whoever restores a guest that holds for its sake may be about to say so: after a
 * jump it has a little time for that.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PLATFORM_HOLD_TIMER_H
#define PLATFORM_HOLD_TIMER_H

#include <stdbool.h>
#include <stdint.h>

/* A wait that ends later than this has jumped; and what is given after it, once. */
#define HOLD_TIMER_JUMP_MS 2000
#define HOLD_TIMER_GRANT_MS 2000

struct hold_timer {
	uint64_t due_ms;
	bool waits_for_restore; /* and that time has not been given yet */
	bool has_jumped;	/* and it was */
};

/* ---- pure, with what CLOCK_BOOTTIME shows ---------------------------------- */

/* The hold is over in HOLD_MS. */
static inline void
hold_timer_begin(struct hold_timer *timer, uint64_t now_ms, uint32_t hold_ms, bool waits)
{
	*timer = (struct hold_timer){ .due_ms = now_ms + hold_ms, .waits_for_restore = waits };
}

/* Whether it is over. HAS_WAITED: a wait for that has just come back, so that a jump can be
 * told from a call that took long. */
bool hold_timer_is_over(struct hold_timer *timer, uint64_t now_ms, bool has_waited);

/* ---- the kernel's timer: timerfd_create(2) --------------------------------- */

/* CLOCK_BOOTTIME in milliseconds. */
uint64_t hold_timer_now_ms(void);

/* Makes a timer: non-blocking, close-on-exec, the caller's. Returns it, or -errno. */
int hold_timer_open(void);

/* FD can be read from when CLOCK_BOOTTIME shows DUE_MS. */
void hold_timer_set(int fd, uint64_t due_ms);

#endif
