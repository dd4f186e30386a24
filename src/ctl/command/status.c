/*
 * status: "vmm-guest-ctl status": what the agent is doing.
 *
 * SPDX-License-Identifier: MIT
 */
#include <getopt.h>
#include <stddef.h>

#include "ctl/command.h"
#include "ctl/control.h"
#include "ctl/status_text.h"

static const char status_help[] =
    "Usage: vmm-guest-ctl status [--json | --prometheus]\n"
    "\n"
    "Shows what the agent is doing: its workers, what it has done so far, and the\n"
    "sessions that it serves now. IN and OUT are seen from the guest.\n"
    "\n"
    "      --json        the agent's answer as it came, one line\n"
    "      --prometheus  the same in Prometheus' text exposition format\n"
    "  -h, --help        show this help\n";

enum status_format {
	STATUS_FORMAT_TABLE = 0,
	STATUS_FORMAT_JSON,
	STATUS_FORMAT_METRICS
};

static const struct option status_options[] = {
	{ "json", no_argument, NULL, 'j' },
	{ "prometheus", no_argument, NULL, 'p' },
	{ "help", no_argument, NULL, 'h' },
	{ 0 },
};

static int
status_show_json(void)
{
	struct control_answer CLEANUP_ANSWER answer = { 0 };
	int status = control_run(
	    VMM_GUEST_STATUS_REQ, NULL, 0, "the agent would not tell its status", &answer);

	if (status != 0)
		return status;
	if (answer.status == NULL)
		return command_fail("the agent is too old to tell its status");
	command_print_json(stdout, answer.status, answer.status_len);
	return 0;
}

static int
status_show(enum status_format format)
{
	struct status CLEANUP_STATUS answer = { 0 };
	int status;

	if (format == STATUS_FORMAT_JSON)
		return status_show_json();
	status = status_text_ask(&answer);
	if (status != 0)
		return status;
	return format == STATUS_FORMAT_METRICS ? status_text_print_metrics(&answer)
					       : status_text_print(&answer);
}

static int
status_run(int argc, char **argv)
{
	enum status_format format = STATUS_FORMAT_TABLE;
	int c;

	while ((c = getopt_long(argc, argv, "h", status_options, NULL)) != -1) {
		switch (c) {
		case 'j':
			format = STATUS_FORMAT_JSON;
			break;
		case 'p':
			format = STATUS_FORMAT_METRICS;
			break;
		case 'h':
			return command_help(&status_command);
		default:
			return command_misuse(&status_command, NULL);
		}
	}
	if (optind < argc)
		return command_misuse(&status_command, "it takes no arguments");
	return status_show(format);
}

const struct command status_command = {
	.name = "status",
	.summary = "show what the agent is doing",
	.help = status_help,
	.run = status_run,
};
