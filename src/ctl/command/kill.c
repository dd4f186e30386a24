/*
 * kill: "vmm-guest-ctl kill": a signal for sessions of the guest.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>

#include "ctl/command.h"
#include "ctl/durable_options.h"
#include "ctl/request.h"
#include "ctl/session_find.h"
#include "ctl/signal_name.h"
#include "protocol/control_request.h"

static int kill_signal; /* 0: none was given */

static int
kill_take_signal(const struct options_row *row, char *text)
{
	int signal = signal_name_parse(text);

	(void)row;
	if (signal < 0)
		return -EINVAL;
	kill_signal = signal;
	return 0;
}

static const struct options_row kill_options[] = {
	OPTIONS_CALL("signal", 's', "SIGNAL", kill_take_signal, NULL,
	    "the name or the number of a signal", "which signal (default: TERM)"),
	OPTIONS_END,
};

/* Takes out "-9" and "-TERM", as kill(1) has them. */
static int
kill_prepare(int argc, char **argv)
{
	int signal = argc > 1 && argv[1][0] == '-' ? signal_name_parse(argv[1] + 1) : -1;

	if (signal <= 0)
		return argc;
	kill_signal = signal;
	for (int i = 1; i < argc; i++)
		argv[i] = argv[i + 1];
	return argc - 1;
}

/* Returns the exit status, after a complaint where it is not 0. */
static int
kill_send(struct session_id *which)
{
	struct control_answer CLEANUP_ANSWER answer = { 0 };
	struct control_kill kill = { .signal = kill_signal != 0 ? kill_signal : SIGTERM };
	char not_made[128];
	int status = 0;
	struct request request = {
		.frame = "KILL",
		.refused = "the agent would not do it; its log in the guest says why",
		.not_made = not_made,
	};
	size_t len;

	if (which->number == 0)
		status = session_find_number(which->name, &which->number);
	if (status != 0)
		return status;
	kill.session = which->number;
	(void)snprintf(not_made, sizeof(not_made),
	    "no program runs in a session %llu (see 'vmm-guest-ctl ps')",
	    (unsigned long long)kill.session);
	return request_run_json(&request, control_kill_format(&kill, &len), &answer);
}

/* All are looked at before one is sent to. */
static int
kill_run(int count, char **operands)
{
	struct session_id which;
	int status = 0;

	/* "SESSION SIGNAL": the name of one; a number would be another session. */
	if (count > 1 && kill_signal == 0 &&
	    !(operands[count - 1][0] >= '0' && operands[count - 1][0] <= '9') &&
	    signal_name_parse(operands[count - 1]) > 0)
		kill_signal = signal_name_parse(operands[--count]);
	for (int i = 0; i < count; i++) {
		if (durable_options_parse_which(operands[i], &which) < 0)
			return command_misuse(&kill_command,
			    "'%s' is neither the number nor the name of a session", operands[i]);
	}
	for (int i = 0; i < count; i++) {
		which = (struct session_id){ 0 };
		(void)durable_options_parse_which(operands[i], &which);
		if (kill_send(&which) != 0)
			status = COMMAND_FAILED;
	}
	return status;
}

const struct command kill_command = {
	.name = "kill",
	.summary = "send a signal to sessions",
	.usage = "[-s SIGNAL | -SIGNAL] SESSION...\nSESSION... SIGNAL",
	.about = "Sends a signal to the programs of sessions, detached ones too. SESSION is its\n"
		 "number or its name in 'vmm-guest-ctl ps'; SIGNAL a name or number, a name where\n"
		 "it stands last. It goes to the session's process group; KILL to all that the\n"
		 "session ever started.\n",
	.more = "\nExit status: 0 when the signal was sent to each, 1 if one does not exist.\n"
		"\n"
		"Example: vmm-guest-ctl kill -9 $(vmm-guest-ctl ps -q)\n",
	.options = kill_options,
	.operands_min = 1,
	.operands_max = COMMAND_OPERANDS_ANY,
	.operands = "a session's number or name is needed",
	.prepare = kill_prepare,
	.run = kill_run,
};
