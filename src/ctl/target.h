/*
 * target: the agent that this program talks to, as the command line and the environment
 * name it.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CTL_TARGET_H
#define CTL_TARGET_H

#include "ctl/core/client.h"

/* Called once, before any connection is made and any thread started. ADDRESS is kept;
 * NULL: that of $VMM_GUEST_ADDR. ANSWER_MS is how long the agent may take to begin an answer;
 * 0: as long as it likes. Where $VMM_GUEST_TRACE is 1, all frames are traced
 * (ctl/trace.h). */
void target_open(const char *address, uint64_t answer_ms);

/* From now on TICK is called by any thread that waits for the agent, each TICK_MS. */
void target_set_tick(void (*tick)(void), int tick_ms);

/* For all connections of this program: waits end when a caught signal comes in. */
const struct client_target *target_agent(void);

#endif
