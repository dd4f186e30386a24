/*
 * kill: "vmm-guest-ctl kill": a signal for a session of the guest.
 *
 * SPDX-License-Identifier: MIT
 */
#include <signal.h>
#include <stdio.h>

#include "ctl/command.h"
#include "ctl/durable_options.h"
#include "ctl/request.h"
#include "ctl/session_find.h"
#include "ctl/signal_name.h"
#include "protocol/control_request.h"

static struct control_kill kill_request = { .signal = SIGTERM };

static const struct options_row kill_options[] = { OPTIONS_END };

/* Takes out "-9" and "-TERM", as kill(1) has them. */
static int
kill_prepare(int argc, char **argv)
{
	int signal = argc > 1 && argv[1][0] == '-' ? signal_name_parse(argv[1] + 1) : -1;

	if (signal <= 0)
		return argc;
	kill_request.signal = signal;
	for (int i = 1; i < argc; i++)
		argv[i] = argv[i + 1];
	return argc - 1;
}

static int
kill_run(int count, char **operands)
{
	struct control_answer CLEANUP_ANSWER answer = { 0 };
	struct durable which = { 0 };
	char not_made[128];
	int status = 0;
	struct request request = {
		.type = VMM_GUEST_KILL,
		.refused = "the agent would not do it; its log in the guest says why",
		.not_made = not_made,
	};

	if (durable_options_parse_which(operands[0], &which) < 0)
		return command_misuse(&kill_command,
		    "'%s' is neither the number nor the name of a session", operands[0]);
	if (count == 2)
		kill_request.signal = signal_name_parse(operands[1]);
	if (kill_request.signal < 0)
		return command_misuse(&kill_command, "'%s' is not a signal", operands[1]);
	if (which.session == 0)
		status = session_find_number(which.name, &which.session);
	if (status != 0)
		return status;
	kill_request.session = which.session;
	(void)snprintf(not_made, sizeof(not_made),
	    "no program runs in a session %llu (see 'vmm-guest-ctl ps')",
	    (unsigned long long)kill_request.session);
	return request_run_json(
	    &request, control_kill_format(&kill_request, &request.len), &answer);
}

const struct command kill_command = {
	.name = "kill",
	.summary = "send a signal to a session",
	.usage = "SESSION [SIGNAL]\n-SIGNAL SESSION",
	.about = "Sends a signal to the program of a session, detached ones too. SESSION is its\n"
		 "number or its name in 'vmm-guest-ctl ps'; SIGNAL a name or number (default:\n"
		 "TERM). It goes to the session's process group; KILL to all that the session\n"
		 "ever started.\n",
	.more = "\nExit status: 0 when the signal was sent, 1 if there is no such session.\n",
	.options = kill_options,
	.operands_min = 1,
	.operands_max = 2,
	.operands = "a session's number or name is needed",
	.prepare = kill_prepare,
	.run = kill_run,
};
