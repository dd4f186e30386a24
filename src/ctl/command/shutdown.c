/*
 * shutdown: "vmm-guest-ctl shutdown": the guest's clean end.
 *
 * SPDX-License-Identifier: MIT
 */
#include <getopt.h>
#include <stdint.h>

#include "ctl/command.h"
#include "ctl/control.h"
#include "protocol/control_request.h"

#define SHUTDOWN_GRACE_S 5

static const char shutdown_help[] =
    "Usage: vmm-guest-ctl shutdown [--reboot | --poweroff | --halt] [--grace S]\n"
    "\n"
    "Ends the guest cleanly: all programs get SIGTERM, those that are left after the\n"
    "grace SIGKILL; file systems are written out; then the guest goes down. It\n"
    "returns when that is about to happen.\n"
    "\n"
    "      --reboot    restart (the default); with Firecracker on x86 this is what\n"
    "                  ends the VM\n"
    "      --poweroff  switch off: QEMU, Cloud Hypervisor\n"
    "      --halt      stop, and stay stopped\n"
    "      --grace S   seconds from SIGTERM to SIGKILL (default: 5)\n"
    "  -h, --help      show this help\n"
    "\n"
    "Where the agent is a service of a guest with an init of its own, it ends its\n"
    "sessions and exits, and the guest stays up.\n";

static const struct option shutdown_options[] = {
	{ "reboot", no_argument, NULL, 'r' },
	{ "poweroff", no_argument, NULL, 'p' },
	{ "halt", no_argument, NULL, 'H' },
	{ "grace", required_argument, NULL, 'g' },
	{ "help", no_argument, NULL, 'h' },
	{ 0 },
};

static int
shutdown_send(const struct control_shutdown *request)
{
	struct control_answer CLEANUP_ANSWER answer = { 0 };
	size_t len = 0;
	char *json = control_shutdown_format(request, &len);

	return control_run_json(VMM_GUEST_SHUTDOWN, json, len,
	    "the guest does not go down; the agent's log there says why", &answer);
}

static int
shutdown_run(int argc, char **argv)
{
	struct control_shutdown request = { .action = CONTROL_REBOOT,
		.grace_seconds = SHUTDOWN_GRACE_S };
	uint64_t seconds;
	int c;

	while ((c = getopt_long(argc, argv, "h", shutdown_options, NULL)) != -1) {
		switch (c) {
		case 'r':
			request.action = CONTROL_REBOOT;
			break;
		case 'p':
			request.action = CONTROL_POWEROFF;
			break;
		case 'H':
			request.action = CONTROL_HALT;
			break;
		case 'g':
			if (command_parse_number(optarg, 0, UINT32_MAX, &seconds) < 0)
				return command_misuse(&shutdown_command,
				    "--grace: '%s' is no number of seconds", optarg);
			request.grace_seconds = (uint32_t)seconds;
			break;
		case 'h':
			return command_help(&shutdown_command);
		default:
			return command_misuse(&shutdown_command, NULL);
		}
	}
	if (optind < argc)
		return command_misuse(&shutdown_command, "it takes no arguments");
	return shutdown_send(&request);
}

const struct command shutdown_command = {
	.name = "shutdown",
	.summary = "end the guest cleanly",
	.help = shutdown_help,
	.run = shutdown_run,
};
