/*
 * forget: "vmm-guest-ctl forget": the ends of durable sessions are kept no longer.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdio.h>

#include "ctl/command.h"
#include "ctl/durable_options.h"
#include "ctl/request.h"

static const struct options_row forget_options[] = {
	DURABLE_OPTIONS_WHICH,
	OPTIONS_END,
};

static int
forget_one(const char *text)
{
	struct control_answer CLEANUP_ANSWER answer = { 0 };
	struct session_id which = { 0 };
	char not_made[128];
	struct attach_request forget;
	struct request request = {
		.frame = "FORGET",
		.refused = "the agent would not do it",
		.not_made = not_made,
	};
	size_t len;

	if (durable_options_parse_which(text, &which) < 0)
		return command_misuse(
		    &forget_command, "'%s' is neither the name nor the number of a session", text);
	(void)snprintf(not_made, sizeof(not_made),
	    "no durable session '%s' has ended (see 'vmm-guest-ctl sessions')", text);
	forget = session_id_request(&which);
	return request_run_json(
	    &request, attach_request_format(VMM_GUEST_FORGET, &forget, &len), &answer);
}

static int
forget_run(int count, char **operands)
{
	int worst = 0;

	for (int i = 0; i < count; i++) {
		int status = forget_one(operands[i]);

		worst = status > worst ? status : worst;
	}
	return worst;
}

const struct command forget_command = {
	.name = "forget",
	.summary = "give up the ends of durable sessions",
	.usage = "SESSION...",
	.about = "Gives up what is kept of durable sessions that have ended: how they ended, and\n"
		 "the last of their output. Their names can then be used again.\n",
	.more = "\nExit status: 0 when all were forgotten, 1 if one still runs or is not there.\n",
	.options = forget_options,
	.operands_min = 1,
	.operands_max = COMMAND_OPERANDS_ANY,
	.operands = "which session? (see 'vmm-guest-ctl sessions')",
	.run = forget_run,
};
