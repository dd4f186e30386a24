/*
 * shutdown: "vmm-guest-ctl shutdown": the guest's clean end.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <stdlib.h>

#include "ctl/command.h"
#include "ctl/core/control.h"
#include "ctl/target.h"
#include "protocol/control_request.h"

#define SHUTDOWN_GRACE_S 5
#define SHUTDOWN_MS_PER_S 1000

/* A refusal, and a worker that was lost before it asked, are the same EXIT: only the first comes
 * every time. */
#define SHUTDOWN_TRIES 3

static struct control_shutdown shutdown_request = { .action = CONTROL_AUTO,
	.grace_seconds = SHUTDOWN_GRACE_S };

static const struct options_row shutdown_options[] = {
	OPTIONS_VALUE("auto", &shutdown_request.action, CONTROL_AUTO,
	    "whatever ends a VM of this VMM (the default)"),
	OPTIONS_VALUE("reboot", &shutdown_request.action, CONTROL_REBOOT,
	    "restart; with Firecracker on x86 this is what ends the VM"),
	OPTIONS_VALUE("poweroff", &shutdown_request.action, CONTROL_POWEROFF,
	    "switch off: QEMU, Cloud Hypervisor"),
	OPTIONS_VALUE("halt", &shutdown_request.action, CONTROL_HALT, "stop, and stay stopped"),
	OPTIONS_SECONDS("grace", "S", &shutdown_request.grace_seconds,
	    "seconds from SIGTERM to SIGKILL (default: 5)"),
	OPTIONS_END,
};

static int
shutdown_ask(struct control_answer *ret, struct client_error *error)
{
	size_t len;
	char *json = control_shutdown_format(&shutdown_request, &len);
	int r;

	*ret = (struct control_answer){ 0 };
	if (json == NULL) {
		client_fail(error, "out of memory");
		return -ENOMEM;
	}
	r = guest_open(&ret->guest, target_agent(), error);
	if (r == 0) {
		/* The answer comes when the sessions have ended, for which they have the grace. */
		guest_bear(
		    &ret->guest, (uint64_t)shutdown_request.grace_seconds * SHUTDOWN_MS_PER_S);
		r = control_ask_guest(ret, "SHUTDOWN", json, error);
	}
	free(json);
	return r;
}

static bool
shutdown_is_refused(int r, const struct control_answer *answer)
{
	return r == 0 && answer->exit.code == VMM_GUEST_EXIT_CONTROL_FAILED;
}

/* Asks until that is not refused, or was as often as it may. */
static int
shutdown_insist(struct control_answer *ret, struct client_error *error)
{
	int r = shutdown_ask(ret, error);

	for (int tries = 1; tries < SHUTDOWN_TRIES && shutdown_is_refused(r, ret); tries++) {
		control_answer_done(ret);
		r = shutdown_ask(ret, error);
	}
	return r;
}

static int
shutdown_run(int count, char **operands)
{
	struct control_answer CLEANUP_ANSWER answer = { 0 };
	struct client_error error = { "" };
	int r = shutdown_insist(&answer, &error);

	(void)count;
	(void)operands;
	/* An older agent takes "auto" for nonsense. It did not begin to end. */
	if (shutdown_is_refused(r, &answer) && shutdown_request.action == CONTROL_AUTO) {
		control_answer_done(&answer);
		shutdown_request.action = CONTROL_REBOOT;
		r = shutdown_ask(&answer, &error);
	}
	if (r < 0)
		return command_fail("%s", error.text);
	if (answer.exit.code != VMM_GUEST_EXIT_OK)
		return command_fail("the guest does not go down; the agent's log there says why");
	return 0;
}

const struct command shutdown_command = {
	.name = "shutdown",
	.summary = "end the guest cleanly",
	.usage = "[--auto|--reboot|--poweroff|--halt] [--grace S]",
	.about = "Ends the guest cleanly: all programs get SIGTERM, those that are left after the\n"
		 "grace SIGKILL; file systems are written out; then the guest goes down. It\n"
		 "returns when that is about to happen.\n",
	.more =
	    "\nWhere the agent is a service of a guest with an init of its own, it ends its\n"
	    "sessions and exits. With its option on_shutdown=guest it first has the guest's\n"
	    "own poweroff, reboot or halt end the guest; without it, the guest stays up.\n"
	    "\nExit status: 0, or 1 where the guest does not go down. An agent that is too old\n"
	    "for --auto is asked to reboot.\n",
	.options = shutdown_options,
	.run = shutdown_run,
};
