/*
 * attach: "vmm-guest-ctl attach": a durable session that runs, as if it had been started
 * here.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <unistd.h>

#include "ctl/command.h"
#include "ctl/durable_options.h"
#include "ctl/program.h"
#include "ctl/session_find.h"

static struct attach_durable attach_session = { ATTACH_DURABLE_DEFAULTS, .is_asked_for = true };
static bool attach_sends_stdin;
static bool attach_reads_only;

static const struct options_row attach_options[] = {
	DURABLE_OPTIONS_WHICH,
	OPTIONS_CALL("tail", 0, "SIZE", durable_options_take_tail, &attach_session,
	    "a number of bytes",
	    "begin with the last SIZE bytes of what it has put out so far (K, M); without it "
	    "with the oldest that are there"),
	OPTIONS_FLAG("read-only", 0, &attach_reads_only,
	    "take its output alone: the input stays with whoever has it"),
	OPTIONS_FLAG("interactive", 'i', &attach_sends_stdin,
	    "send our standard input though it is not a terminal; its end is the program's too"),
	DURABLE_OPTIONS_RECONNECT(&attach_session.reconnect_seconds),
	DURABLE_OPTIONS_KEYS(&attach_session.keys),
	OPTIONS_END,
};

static int
attach_prepare(int argc, char **argv)
{
	(void)argv;
	(void)keys_parse_detach(KEYS_DETACH_DEFAULT, &attach_session.keys);
	return argc;
}

static int
attach_run_command(int count, char **operands)
{
	struct attach_options options = { .durable = &attach_session };

	(void)count;
	if (durable_options_parse_which(operands[0], &attach_session.id) < 0)
		return command_misuse(&attach_command,
		    "'%s' is neither the name nor the number of a session", operands[0]);
	if (attach_reads_only && attach_sends_stdin)
		return command_misuse(&attach_command, "--read-only does not go with -i");
	attach_session.takes_input = !attach_reads_only;
	attach_session.wants_report = true;
	options.forward_stdin = !attach_reads_only && (attach_sends_stdin || isatty(STDIN_FILENO));
	attach_session.keeps_stdin = !options.forward_stdin;
	if (!attach_reads_only && isatty(STDIN_FILENO))
		attach_session.old_until = session_find_end(&attach_session.id);
	return program_attach(&options);
}

const struct command attach_command = {
	.name = "attach",
	.summary = "go on with a durable session",
	.usage = "[OPTION]... SESSION",
	.about =
	    "Ties a durable session, which was started by 'exec --durable', 'exec -d' or\n"
	    "'shell --name', to our standard streams: what it puts out comes out here, and it\n"
	    "gets our standard input, if that is a terminal. Whoever had its input before\n"
	    "goes on with its output alone.\n",
	.more = "\n"
		"The session goes on when it is left: by Ctrl-] d where it has a terminal (Ctrl-]\n"
		"twice is one for the program), elsewhere by Ctrl-C twice, of which the program\n"
		"gets the first.\n"
		"\n"
		"Exit status: 0 when it was left; else the program's, as in 'vmm-guest-ctl exec\n"
		"--help'. How it ended is kept until 'vmm-guest-ctl forget', or for its time.\n",
	.options = attach_options,
	.operands_min = 1,
	.operands_max = 1,
	.operands = "which session? (see 'vmm-guest-ctl sessions')",
	.misused = VMM_GUEST_EXIT_AGENT,
	.prepare = attach_prepare,
	.run = attach_run_command,
};
