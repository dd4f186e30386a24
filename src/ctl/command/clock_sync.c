/*
 * clock_sync: "vmm-guest-ctl clock-sync": the host's time and randomness for the
 * guest.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "ctl/command.h"
#include "ctl/request.h"

#define CLOCK_SYNC_ENTROPY_LEN 64

static const struct options_row clock_sync_options[] = { OPTIONS_END };

static int
clock_sync_run(int count, char **operands)
{
	struct control_answer CLEANUP_ANSWER answer = { 0 };
	uint8_t payload[VMM_GUEST_CLOCK_SYNC_LEN + CLOCK_SYNC_ENTROPY_LEN];
	const struct request request = {
		.type = VMM_GUEST_CLOCK_SYNC,
		.payload = payload,
		.len = sizeof(payload),
		.refused = "the guest's clock could not be set; the agent's log there says why",
	};
	struct timespec now;

	(void)count;
	(void)operands;
	if (getrandom(payload + VMM_GUEST_CLOCK_SYNC_LEN, CLOCK_SYNC_ENTROPY_LEN, 0) !=
	    CLOCK_SYNC_ENTROPY_LEN)
		return command_fail("can't get random bytes: %s", strerror(errno));
	(void)clock_gettime(CLOCK_REALTIME, &now);
	frame_clock_sync_format(payload, now.tv_sec, (uint32_t)now.tv_nsec);
	return request_run(&request, &answer);
}

const struct command clock_sync_command = {
	.name = "clock-sync",
	.summary = "set the guest's clock, feed its random pool",
	.usage = "",
	.about =
	    "Sets the guest's clock to this machine's, and feeds the guest's random pool with\n"
	    "64 bytes of this machine's. Both are wrong after a snapshot was restored.\n",
	.options = clock_sync_options,
	.run = clock_sync_run,
};
