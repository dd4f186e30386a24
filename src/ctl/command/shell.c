/*
 * shell: "vmm-guest-ctl shell": a login shell in the guest.
 *
 * SPDX-License-Identifier: MIT
 */
#include <getopt.h>
#include <stddef.h>
#include <unistd.h>

#include "ctl/command.h"
#include "ctl/program.h"

static const char shell_help[] =
    "Usage: vmm-guest-ctl shell [-u USER]\n"
    "\n"
    "Opens a login shell in the guest: the shell that the guest's /etc/passwd has for\n"
    "the user, in that user's home; on a terminal, if standard input is one.\n"
    "\n"
    "  -u, --user USER  the user (default: whoever the agent runs as, mostly root)\n"
    "  -h, --help       show this help\n"
    "\n"
    "Where the guest hangs, Ctrl-] typed three times within a second leaves it. The\n"
    "exit status is the shell's; 125 to 127 as in 'vmm-guest-ctl exec --help'.\n";

/* The guest knows its users. SHELL is set where a user was given; HOME always; a
 * home that can't be entered is no reason to have no shell. */
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

static const struct option shell_options[] = {
	{ "user", required_argument, NULL, 'u' },
	{ "help", no_argument, NULL, 'h' },
	{ 0 },
};

static int
shell_run(int argc, char **argv)
{
	const char *shell_argv[] = { "/bin/sh", "-c", shell_script, NULL };
	struct start_env env[1];
	struct attach_options attach = { .forward_stdin = true };
	struct start_request request = { START_DEFAULTS, .argv = shell_argv, .argc = 3,
		.env = env };
	int c;

	while ((c = getopt_long(argc, argv, "u:h", shell_options, NULL)) != -1) {
		switch (c) {
		case 'u':
			request.user = optarg;
			break;
		case 'h':
			return command_help(&shell_command);
		default:
			return command_misuse(&shell_command, NULL);
		}
	}
	if (optind < argc)
		return command_misuse(&shell_command,
		    "it takes no arguments; to run a program: vmm-guest-ctl exec -t %s",
		    argv[optind]);
	/* What comes from elsewhere has an end that a terminal could not tell of. */
	if (isatty(STDIN_FILENO))
		program_use_terminal(&request, &attach);
	return program_run(&request, &attach);
}

const struct command shell_command = {
	.name = "shell",
	.summary = "open a login shell in the guest",
	.help = shell_help,
	.misused = VMM_GUEST_EXIT_AGENT,
	.run = shell_run,
};
