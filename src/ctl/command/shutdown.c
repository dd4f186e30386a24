/*
 * shutdown: "vmm-guest-ctl shutdown": the guest's clean end.
 *
 * SPDX-License-Identifier: MIT
 */
#include "ctl/command.h"
#include "ctl/request.h"
#include "protocol/control_request.h"

#define SHUTDOWN_GRACE_S 5

static struct control_shutdown shutdown_request = { .action = CONTROL_REBOOT,
	.grace_seconds = SHUTDOWN_GRACE_S };

static const struct options_row shutdown_options[] = {
	OPTIONS_VALUE("reboot", &shutdown_request.action, CONTROL_REBOOT,
	    "restart (the default); with Firecracker on x86 this is what ends the VM"),
	OPTIONS_VALUE("poweroff", &shutdown_request.action, CONTROL_POWEROFF,
	    "switch off: QEMU, Cloud Hypervisor"),
	OPTIONS_VALUE("halt", &shutdown_request.action, CONTROL_HALT, "stop, and stay stopped"),
	OPTIONS_SECONDS("grace", "S", &shutdown_request.grace_seconds,
	    "seconds from SIGTERM to SIGKILL (default: 5)"),
	OPTIONS_END,
};

static int
shutdown_run(int count, char **operands)
{
	struct control_answer CLEANUP_ANSWER answer = { 0 };
	struct request request = {
		.type = VMM_GUEST_SHUTDOWN,
		.refused = "the guest does not go down; the agent's log there says why",
	};

	(void)count;
	(void)operands;
	return request_run_json(
	    &request, control_shutdown_format(&shutdown_request, &request.len), &answer);
}

const struct command shutdown_command = {
	.name = "shutdown",
	.summary = "end the guest cleanly",
	.usage = "[--reboot | --poweroff | --halt] [--grace S]",
	.about = "Ends the guest cleanly: all programs get SIGTERM, those that are left after the\n"
		 "grace SIGKILL; file systems are written out; then the guest goes down. It\n"
		 "returns when that is about to happen.\n",
	.more = "\nWhere the agent is a service of a guest with an init of its own, it ends its\n"
		"sessions and exits, and the guest stays up.\n",
	.options = shutdown_options,
	.run = shutdown_run,
};
