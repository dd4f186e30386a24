/*
 * status: "vmm-guest-ctl status": what the agent is doing.
 *
 * SPDX-License-Identifier: MIT
 */
#include "ctl/command.h"
#include "ctl/status_text.h"

static enum {
	STATUS_AS_TABLE = 0,
	STATUS_AS_JSON,
	STATUS_AS_METRICS
} status_shown_as;

static const struct options_row status_options[] = {
	OPTIONS_VALUE(
	    "json", &status_shown_as, STATUS_AS_JSON, "the agent's answer as it came, one line"),
	OPTIONS_VALUE("prometheus", &status_shown_as, STATUS_AS_METRICS,
	    "the same in Prometheus' text exposition format"),
	OPTIONS_END,
};

static int
status_show_json(void)
{
	struct control_answer CLEANUP_ANSWER answer = { 0 };
	int status = status_text_ask_json(&answer);

	if (status == 0)
		command_print_json(stdout, answer.status, answer.status_len);
	return status;
}

static int
status_run(int count, char **operands)
{
	struct status CLEANUP_STATUS answer = { 0 };
	int status;

	(void)count;
	(void)operands;
	if (status_shown_as == STATUS_AS_JSON)
		return status_show_json();
	status = status_text_ask_figures(&answer);
	if (status != 0)
		return status;
	return status_shown_as == STATUS_AS_METRICS ? status_text_print_metrics(&answer)
						    : status_text_print(&answer);
}

const struct command status_command = {
	.name = "status",
	.summary = "show what the agent is doing",
	.usage = "[--json | --prometheus]",
	.about = "Shows what the agent is doing: its workers, what it has done so far, and the\n"
		 "sessions that it serves now; and what the guest's kernel has counted since its\n"
		 "start. IN and OUT are seen from the guest.\n",
	.options = status_options,
	.run = status_run,
};
