/*
 * status: "vmm-guest-ctl status": what the agent is doing.
 */
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>

#include "ctl/command.h"
#include "ctl/control.h"

static const char status_help[] =
    "Usage: vmm-guest-ctl status [--json]\n"
    "\n"
    "Shows what the agent is doing: its workers, and the sessions it serves.\n"
    "\n"
    "      --json  the agent's answer as it came, one line\n"
    "  -h, --help  show this help\n";

static const struct option status_options[] = {
	{ "json", no_argument, NULL, 'j' },
	{ "help", no_argument, NULL, 'h' },
	{ 0 },
};

static int
status_show(void)
{
	struct control_answer CLEANUP_ANSWER answer = { 0 };
	int status = control_run(VMM_GUEST_STATUS_REQ, NULL, 0, "no status", &answer);

	if (status != 0)
		return status;
	if (answer.status == NULL)
		return command_fail("the agent is too old to tell its status");
	(void)printf("%s\n", answer.status);
	return 0;
}

static int
status_run(int argc, char **argv)
{
	int c;

	while ((c = getopt_long(argc, argv, "h", status_options, NULL)) != -1) {
		switch (c) {
		case 'j':
			break;
		case 'h':
			return command_help(&status_command);
		default:
			return command_misuse(&status_command, NULL);
		}
	}
	if (optind < argc)
		return command_misuse(&status_command, "it takes no arguments");
	return status_show();
}

const struct command status_command = {
	.name = "status",
	.summary = "show what the agent is doing",
	.help = status_help,
	.run = status_run,
};
