/*
 * quiesce: "vmm-guest-ctl quiesce": the guest stands still while a program of this machine
 * takes a snapshot of it.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>

#include "ctl/command.h"
#include "ctl/hold.h"
#include "protocol/utf8.h"
#include "vmm-guest/protocol.h"

#define QUIESCE_MS_PER_S 1000

static const char *quiesce_paths[VMM_GUEST_FSFREEZE_MAX];
static bool quiesce_lets_sessions_run;
static bool quiesce_syncs_not;
static bool quiesce_is_snapshot;
static struct hold_options quiesce_hold = { .request = {
						.within_ms = VMM_GUEST_WITHIN_MS_DEFAULT,
						.hold_ms = VMM_GUEST_HOLD_MS_DEFAULT,
						.paths = quiesce_paths,
					    } };

static int
quiesce_take_path(const struct options_row *row, char *text)
{
	struct quiesce_request *request = &quiesce_hold.request;

	(void)row;
	if (text[0] != '/' || request->paths_count == VMM_GUEST_FSFREEZE_MAX)
		return -EINVAL;
	quiesce_paths[request->paths_count++] = text;
	return 0;
}

/* Seconds, of which VALUE are the most. */
static int
quiesce_take_seconds(const struct options_row *row, char *text)
{
	uint64_t seconds;
	int r = command_parse_number(text, 1, (uint64_t)row->value, &seconds);

	if (r == 0)
		*(uint32_t *)row->into = (uint32_t)seconds * QUIESCE_MS_PER_S;
	return r;
}

static int
quiesce_take_report(const struct options_row *row, char *text)
{
	(void)row;
	quiesce_hold.tells = text == NULL;
	quiesce_hold.file.path = text;
	return 0;
}

#define QUIESCE_SECONDS(name_, into_, max_, what_, help_)                                          \
	{                                                                                          \
		.name = (name_), .argument = "S", .help = (help_), .take = quiesce_take_seconds,   \
		.into = (into_), .value = (max_), .what = (what_)                                  \
	}

static const struct options_row quiesce_options[] = {
	OPTIONS_FLAG("all", 0, &quiesce_hold.request.is_all,
	    "freeze all file systems that lie on disks of the guest"),
	OPTIONS_CALL("fsfreeze", 0, "PATH", quiesce_take_path, NULL,
	    "an absolute path in the guest, or there are more than 64",
	    "freeze the file system that PATH lies on; may be given 64 times"),
	OPTIONS_FLAG("no-sync", 0, &quiesce_syncs_not,
	    "do not write out what file systems that are not frozen have in memory"),
	OPTIONS_FLAG("no-sessions", 0, &quiesce_lets_sessions_run, "let programs run on"),
	QUIESCE_SECONDS("within", &quiesce_hold.request.within_ms,
	    VMM_GUEST_WITHIN_MS_MAX / QUIESCE_MS_PER_S, "a number of seconds from 1 to 60",
	    "give up where the guest does not stand still S seconds from now (default: 5)"),
	QUIESCE_SECONDS("hold", &quiesce_hold.request.hold_ms,
	    VMM_GUEST_HOLD_MS_MAX / QUIESCE_MS_PER_S, "a number of seconds from 1 to 600",
	    "have it go on after S seconds, whatever becomes of us (default: 30)"),
	OPTIONS_FLAG("snapshot", 0, &quiesce_is_snapshot,
	    "have it stand still also when our connection is lost, as by a snapshot: its clones "
	    "wait so for 'restored'"),
	OPTIONS_CALL("report", 0, "[=FILE]", quiesce_take_report, NULL, NULL,
	    "say what is frozen and how long it took, on standard error; or the agent's words for "
	    "it as JSON, one a line, to FILE"),
	OPTIONS_END,
};

/* What does not go together. Returns -1 to go on, or the exit status. */
static int
quiesce_check(void)
{
	const struct quiesce_request *request = &quiesce_hold.request;

	if (request->is_all && request->paths_count > 0)
		return command_misuse(&quiesce_command, "--all does not go with --fsfreeze");
	for (size_t i = 0; i < request->paths_count; i++) {
		if (!utf8_is_valid(request->paths[i]))
			return command_misuse(&quiesce_command, "a path is not UTF-8");
	}
	return report_file_open(&quiesce_hold.file);
}

static int
quiesce_run(int count, char **operands)
{
	struct quiesce_request *request = &quiesce_hold.request;
	int status = quiesce_check();

	if (status >= 0)
		return status;
	request->freeze = quiesce_lets_sessions_run ? QUIESCE_FREEZE_NONE : QUIESCE_FREEZE_SESSIONS;
	request->sync = !quiesce_syncs_not;
	request->on_gone = quiesce_is_snapshot ? QUIESCE_ON_GONE_HOLD : QUIESCE_ON_GONE_THAW;
	quiesce_hold.argv = count > 0 ? operands : NULL;
	status = hold_run(&quiesce_hold);
	return report_file_close(&quiesce_hold.file, status);
}

const struct command quiesce_command = {
	.name = "quiesce",
	.summary = "have the guest stand still while a program takes a snapshot",
	.usage = "[OPTION]... [--] COMMAND [ARGUMENT]...\n[OPTION]...",
	.about = "Has the guest stand still, runs COMMAND on this machine, and has the guest go\n"
		 "on. Its programs are frozen, its file systems are written out and, as the\n"
		 "options say, frozen too, so that no byte of them changes. Without COMMAND it\n"
		 "stands still until Ctrl-C, or the end of standard input.\n",
	.more = "\n"
		"COMMAND is not begun unless all that was asked for is done. It has our standard\n"
		"streams, and Ctrl-C is its own. TERM and HUP are passed on to it, and the guest\n"
		"goes on at once. In the guest --hold ends the freeze, however long COMMAND\n"
		"takes. If that or anything else did before COMMAND had ended, it is said, and\n"
		"the exit status is not 0. Where --snapshot is given the loss of the connection\n"
		"is not such an end; COMMAND may leave the machine paused, or end it.\n"
		"\n"
		"Exit status: COMMAND's, or 128 plus the number of the signal that ended it;\n"
		"  127  there is no such program as COMMAND\n"
		"  126  it is there and can't be run\n"
		"  125  the guest did not stand still, or not until COMMAND had ended\n"
		"\n"
		"Examples:\n"
		"  vmm-guest-ctl quiesce --all --snapshot -- ./take-snapshot\n"
		"  vmm-guest-ctl quiesce --fsfreeze /srv -- cp --reflink srv.raw srv.copy\n",
	.options = quiesce_options,
	.in_order = true,
	.operands_max = COMMAND_OPERANDS_ANY,
	.misused = VMM_GUEST_EXIT_AGENT,
	.run = quiesce_run,
};
