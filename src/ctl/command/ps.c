/*
 * ps: "vmm-guest-ctl ps": the sessions that run.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdio.h>
#include <string.h>

#include "ctl/command.h"
#include "ctl/status_text.h"

static bool ps_as_json;
static bool ps_is_quiet;

static const struct options_row ps_options[] = {
	OPTIONS_FLAG("json", 0, &ps_as_json, "the agent's words for each as JSON, one a line"),
	OPTIONS_FLAG("quiet", 'q', &ps_is_quiet,
	    "the numbers alone, one a line, of those that 'kill' can signal"),
	OPTIONS_END,
};

/* Those that 'kill' does not know: what has ended, and what runs no program. */
static bool
ps_can_be_signaled(const struct status_slot *slot)
{
	return strcmp(slot->kind, "exec") == 0 || strcmp(slot->kind, "detached") == 0 ||
	       (slot->is_durable && slot->running);
}

static int
ps_show_json(const struct status *status)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < status->slots_count; i++) {
		size_t len;
		char *json;

		if (status_text_is_own(&status->slots[i]))
			continue;
		json = status_slot_format(&status->slots[i], &len);
		r = command_print_message(json, len);
	}
	return r;
}

static int
ps_show(const struct status *status)
{
	if (ps_as_json)
		return ps_show_json(status);
	if (!ps_is_quiet)
		return status_text_print_sessions(status);
	for (size_t i = 0; i < status->slots_count; i++) {
		if (ps_can_be_signaled(&status->slots[i]))
			(void)printf("%llu\n", (unsigned long long)status->slots[i].session);
	}
	return 0;
}

static int
ps_run(int count, char **operands)
{
	struct status CLEANUP_STATUS answer = { 0 };
	int status;

	(void)count;
	(void)operands;
	if (ps_as_json && ps_is_quiet)
		return command_misuse(&ps_command, "--json does not go with -q");
	status = status_text_ask(&answer);
	return status == 0 ? ps_show(&answer) : status;
}

const struct command ps_command = {
	.name = "ps",
	.summary = "list the sessions that run",
	.usage = "[--json | -q]",
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
