/*
 * target: -a ADDRESS, or the environment.
 *
 * SPDX-License-Identifier: MIT
 */
#include "ctl/target.h"

#include <stdlib.h>
#include <string.h>

#include "ctl/signals.h"
#include "ctl/trace.h"

#define TARGET_ADDRESS "VMM_GUEST_ADDR"
#define TARGET_TRACE "VMM_GUEST_TRACE"

static struct client_target target = {
	.address = "",
	.hint = "give -a unix:PATH or -a vsock:CID, or set " TARGET_ADDRESS,
	.cancel_fd = -1,
};

void
target_open(const char *address)
{
	const char *trace = getenv(TARGET_TRACE);

	if (address == NULL)
		address = getenv(TARGET_ADDRESS);
	if (address != NULL)
		target.address = address;
	if (trace != NULL && strcmp(trace, "1") == 0)
		target.trace = trace_frame;
	(void)signals_open();
	target.cancel_fd = signals_fd();
}

void
target_set_tick(void (*tick)(void), int tick_ms)
{
	target.tick = tick;
	target.tick_ms = tick_ms;
}

const struct client_target *
target_agent(void)
{
	return &target;
}
