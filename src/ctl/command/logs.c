/*
 * logs: "vmm-guest-ctl logs": what a durable session has put out.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdlib.h>

#include "ctl/command.h"
#include "ctl/durable_options.h"
#include "ctl/program.h"
#include "ctl/session_find.h"
#include "ctl/status_text.h"

static struct attach_durable logs_session = { ATTACH_DURABLE_DEFAULTS, .is_asked_for = true,
	.only_shows = true, .keeps_stdin = true };
static bool logs_follow;

static const struct options_row logs_options[] = {
	DURABLE_OPTIONS_WHICH,
	OPTIONS_FLAG("follow", 'f', &logs_follow, "go on with what it puts out, to its end"),
	OPTIONS_CALL("tail", 0, "SIZE", durable_options_take_tail, &logs_session,
	    "a number of bytes", "begin with the last SIZE bytes (K, M)"),
	DURABLE_OPTIONS_RECONNECT(&logs_session.reconnect_seconds),
	OPTIONS_END,
};

/* Where the output ends that is there now; what has ended is read to its end. */
static int
logs_find_stop(struct attach_durable *durable)
{
	struct status CLEANUP_STATUS status = { 0 };
	const struct status_slot *slot;
	int r = status_text_ask(&status);

	if (r == 0)
		r = session_find_check(&status);
	if (r != 0)
		return r;
	slot = session_find_durable(&status, &durable->id);
	if (slot != NULL && slot->running)
		durable->stop_at = slot->offset;
	return 0;
}

static int
logs_run(int count, char **operands)
{
	const struct attach_options options = { .durable = &logs_session };
	int status = 0;

	(void)count;
	if (durable_options_parse_which(operands[0], &logs_session.id) < 0)
		return command_misuse(&logs_command,
		    "'%s' is neither the name nor the number of a session", operands[0]);
	if (!logs_follow)
		status = logs_find_stop(&logs_session);
	if (status != 0)
		return status;
	return program_attach(&options);
}

const struct command logs_command = {
	.name = "logs",
	.summary = "show what a durable session has put out",
	.usage = "[-f] [--tail SIZE] SESSION",
	.about = "Shows what a durable session has put out, as far as it is kept: its standard\n"
		 "output and error on ours. It takes no notice.\n",
	.more =
	    "\nExit status: 0, whatever that of the program; 1 where there is no such session.\n",
	.options = logs_options,
	.operands_min = 1,
	.operands_max = 1,
	.operands = "which session? (see 'vmm-guest-ctl sessions')",
	.run = logs_run,
};
