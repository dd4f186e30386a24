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
#include "protocol/restored_request.h"

#define CLOCK_SYNC_ENTROPY_LEN 64
#define CLOCK_SYNC_NS_PER_S 1000000000ll

static const struct options_row clock_sync_options[] = { OPTIONS_END };

static int
clock_sync_run(int count, char **operands)
{
	struct control_answer CLEANUP_ANSWER answer = { 0 };
	uint8_t entropy[CLOCK_SYNC_ENTROPY_LEN];
	struct restored_format format = { .entropy = entropy, .entropy_len = sizeof(entropy) };
	struct request request = {
		.frame = "CLOCK_SYNC",
		.refused = "the guest's clock could not be set; the agent's log there says why",
	};
	struct timespec now;
	size_t len;

	(void)count;
	(void)operands;
	if (getrandom(entropy, sizeof(entropy), 0) != (ssize_t)sizeof(entropy))
		return command_fail("can't get random bytes: %s", strerror(errno));
	(void)clock_gettime(CLOCK_REALTIME, &now);
	format.unix_ns = now.tv_sec * CLOCK_SYNC_NS_PER_S + now.tv_nsec;
	return request_run_json(&request, restored_request_format(&format, &len), &answer);
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
