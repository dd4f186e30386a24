/*
 * clock_sync: "vmm-guest-ctl clock-sync": the host's time and randomness for the
 * guest.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <getopt.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "ctl/command.h"
#include "ctl/control.h"

#define CLOCK_SYNC_ENTROPY_LEN 64

static const char clock_sync_help[] =
    "Usage: vmm-guest-ctl clock-sync\n"
    "\n"
    "Sets the guest's clock to this machine's, and feeds the guest's random pool with\n"
    "64 bytes of this machine's. Both are wrong after a snapshot was restored.\n"
    "\n"
    "  -h, --help  show this help\n";

static const struct option clock_sync_options[] = {
	{ "help", no_argument, NULL, 'h' },
	{ 0 },
};

static int
clock_sync_send(void)
{
	struct control_answer CLEANUP_ANSWER answer = { 0 };
	uint8_t payload[VMM_GUEST_CLOCK_SYNC_LEN + CLOCK_SYNC_ENTROPY_LEN];
	struct timespec now;

	if (getrandom(payload + VMM_GUEST_CLOCK_SYNC_LEN, CLOCK_SYNC_ENTROPY_LEN, 0) !=
	    CLOCK_SYNC_ENTROPY_LEN)
		return command_fail("no randomness to be had: %s", strerror(errno));
	(void)clock_gettime(CLOCK_REALTIME, &now);
	frame_clock_sync_format(payload, now.tv_sec, (uint32_t)now.tv_nsec);
	return control_run(VMM_GUEST_CLOCK_SYNC, payload, sizeof(payload),
	    "the guest's clock could not be set; the agent's log there says why", &answer);
}

static int
clock_sync_run(int argc, char **argv)
{
	int c;

	while ((c = getopt_long(argc, argv, "h", clock_sync_options, NULL)) != -1) {
		if (c == 'h')
			return command_help(&clock_sync_command);
		return command_misuse(&clock_sync_command, NULL);
	}
	if (optind < argc)
		return command_misuse(&clock_sync_command, "it takes no arguments");
	return clock_sync_send();
}

const struct command clock_sync_command = {
	.name = "clock-sync",
	.summary = "set the guest's clock, feed its random pool",
	.help = clock_sync_help,
	.run = clock_sync_run,
};
