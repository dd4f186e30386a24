/*
 * shell: "vmm-guest-ctl shell": a login shell in the guest.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stddef.h>
#include <unistd.h>

#include "ctl/command.h"
#include "ctl/program.h"

/* The guest knows its users. SHELL is set where a user was given; HOME always; the
 * shell starts also where the home can't be entered. */
static const char shell_script[] =
    "if [ -z \"$SHELL\" ] && [ -r /etc/passwd ]; then\n"
    "	me=$(id -u)\n"
    "	while IFS=: read -r name pass uid gid gecos home shell; do\n"
    "		[ \"$uid\" = \"${me:-0}\" ] && SHELL=$shell && break\n"
    "	done </etc/passwd\n"
    "	unset me name pass uid gid gecos home shell\n"
    "fi\n"
    "[ -x \"$SHELL\" ] || SHELL=/bin/sh\n"
    "export SHELL\n"
    "cd \"${HOME:-/}\" 2>/dev/null\n"
    "exec \"$SHELL\" -l\n";

static const char *shell_argv[] = { "/bin/sh", "-c", shell_script, NULL };
static struct start_env shell_env[1];
static struct start_request shell_request = { START_DEFAULTS, .argv = shell_argv, .argc = 3,
	.env = shell_env };

static const struct options_row shell_options[] = {
	OPTIONS_TEXT("user", 'u', "USER", &shell_request.user,
	    "the user (default: whoever the agent runs as, mostly root)"),
	OPTIONS_END,
};

static int
shell_run(int count, char **operands)
{
	struct attach_options attach = { .forward_stdin = true };

	(void)count;
	(void)operands;
	/* What comes from elsewhere has an end that a terminal could not tell of. */
	if (isatty(STDIN_FILENO))
		program_use_terminal(&shell_request, &attach);
	return program_run(&shell_request, &attach);
}

const struct command shell_command = {
	.name = "shell",
	.summary = "open a login shell in the guest",
	.usage = "[-u USER]",
	.about =
	    "Opens a login shell in the guest: the shell that the guest's /etc/passwd has for\n"
	    "the user, in that user's home; on a terminal, if standard input is one.\n",
	.more = "\nWhere the guest hangs, Ctrl-] typed three times within a second leaves it. The\n"
		"exit status is the shell's; 125 to 127 as in 'vmm-guest-ctl exec --help'.\n",
	.options = shell_options,
	.operands = "it takes no arguments; to run a program: vmm-guest-ctl exec -t PROGRAM",
	.misused = VMM_GUEST_EXIT_AGENT,
	.run = shell_run,
};
