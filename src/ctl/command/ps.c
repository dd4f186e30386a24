/*
 * ps: "vmm-guest-ctl ps": the sessions that run.
 *
 * SPDX-License-Identifier: MIT
 */
#include "ctl/command.h"
#include "ctl/status_text.h"

static const struct options_row ps_options[] = { OPTIONS_END };

static int
ps_run(int count, char **operands)
{
	struct status CLEANUP_STATUS answer = { 0 };
	int status = status_text_ask(&answer);

	(void)count;
	(void)operands;
	return status == 0 ? status_text_print_sessions(&answer) : status;
}

const struct command ps_command = {
	.name = "ps",
	.summary = "list the sessions that run",
	.usage = "",
	.about = "Lists the sessions that the agent serves, the detached programs that run, and\n"
		 "the ends of durable sessions that it keeps:\n"
		 "\n"
		 "  SESSION  its number, for 'vmm-guest-ctl kill'\n"
		 "  NAME     the host's own, if one of them has a name\n"
		 "  KIND     what it is: exec, attach, ended, read, write, watch...\n"
		 "  PID      of its main process in the guest, or of the worker that serves it;\n"
		 "           '-' of what has ended\n"
		 "  USER     the user that it was asked to run as\n"
		 "  AGE      since it began\n"
		 "  IN, OUT  bytes that came from the host, and that went to it\n"
		 "  COMMAND  the program, or the path\n",
	.options = ps_options,
	.run = ps_run,
};
