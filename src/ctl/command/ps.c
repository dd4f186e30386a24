/*
 * ps: "vmm-guest-ctl ps": the sessions that run.
 *
 * SPDX-License-Identifier: MIT
 */
#include <getopt.h>
#include <stddef.h>

#include "ctl/command.h"
#include "ctl/status_text.h"

static const char ps_help[] =
    "Usage: vmm-guest-ctl ps\n"
    "\n"
    "Lists the sessions that the agent serves, and the detached programs that run:\n"
    "\n"
    "  SESSION  its number, for 'vmm-guest-ctl kill'\n"
    "  KIND     what it is: exec, read, write, watch...\n"
    "  PID      of its main process in the guest, or of the worker that serves it\n"
    "  USER     whom it was asked to run as\n"
    "  AGE      since it began\n"
    "  IN, OUT  bytes that came from the host, and that went to it\n"
    "  COMMAND  the program, or the path\n"
    "\n"
    "  -h, --help  show this help\n";

static const struct option ps_options[] = {
	{ "help", no_argument, NULL, 'h' },
	{ 0 },
};

static int
ps_run(int argc, char **argv)
{
	struct status CLEANUP_STATUS answer = { 0 };
	int status;
	int c;

	while ((c = getopt_long(argc, argv, "h", ps_options, NULL)) != -1) {
		if (c == 'h')
			return command_help(&ps_command);
		return command_misuse(&ps_command, NULL);
	}
	if (optind < argc)
		return command_misuse(&ps_command, "it takes no arguments");
	status = status_text_ask(&answer);
	return status == 0 ? status_text_print_sessions(&answer) : status;
}

const struct command ps_command = {
	.name = "ps",
	.summary = "list the sessions that run",
	.help = ps_help,
	.run = ps_run,
};
