/*
 * target: -a ADDRESS, or the environment.
 *
 * SPDX-License-Identifier: MIT
 */
#include "ctl/target.h"

#include <limits.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl/command.h"
#include "ctl/signals.h"
#include "ctl/trace.h"

#define TARGET_ADDRESS "VMM_GUEST_ADDR"
#define TARGET_UNIX "unix:"
#define TARGET_TRACE "VMM_GUEST_TRACE"

/* Once, however many connections there are. A terminal may be raw, or have a line of progress. */
static void
target_tell_quiet(void)
{
	static atomic_flag is_told = ATOMIC_FLAG_INIT;
	bool is_terminal = isatty(STDERR_FILENO);

	if (!atomic_flag_test_and_set(&is_told))
		(void)fprintf(stderr,
		    "%s" COMMAND_PROGRAM ": connected, no answer yet: the guest may be paused, "
		    "quiesced or busy ('" COMMAND_PROGRAM " --wait S' gives up after S seconds)%s",
		    is_terminal ? "\r" : "", is_terminal ? "\r\n" : "\n");
}

static struct client_target target = {
	.address = "",
	.hint = "give -a unix:PATH or -a vsock:CID, or set " TARGET_ADDRESS,
	.cancel_fd = -1,
	.quiet = target_tell_quiet,
};

/* A path alone is that of a Unix socket. */
static const char *
target_full_address(const char *address)
{
	char *full;

	if (strchr(address, '/') == NULL || strncmp(address, TARGET_UNIX, strlen(TARGET_UNIX)) == 0)
		return address;
	return asprintf(&full, TARGET_UNIX "%s", address) < 0 ? address : full;
}

void
target_open(const char *address, uint64_t answer_ms)
{
	const char *trace = getenv(TARGET_TRACE);

	if (address == NULL)
		address = getenv(TARGET_ADDRESS);
	if (address != NULL)
		target.address = target_full_address(address);
	target.answer_ms = (int)(answer_ms < INT_MAX ? answer_ms : INT_MAX);
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
