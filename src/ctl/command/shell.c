/*
 * shell: "vmm-guest-ctl shell": a login shell in the guest.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stddef.h>
#include <unistd.h>

#include "ctl/command.h"
#include "ctl/durable_options.h"
#include "ctl/env_option.h"
#include "ctl/program.h"
#include "ctl/session_find.h"
#include "ctl/status_text.h"

/* The guest knows its users. SHELL is set where a user was given; HOME always; the
 * shell starts also where the home can't be entered. What lists sessions shows the first words. */
static const char shell_script[] =
    "# login shell\n"
    "if [ -z \"$SHELL\" ] && [ -r /etc/passwd ]; then\n"
    "	me=$(id -u)\n"
    "	while IFS=: read -r name pass uid gid gecos home shell; do\n"
    "		[ \"$uid\" = \"${me:-0}\" ] && SHELL=$shell && break\n"
    "	done </etc/passwd\n"
    "	unset me name pass uid gid gecos home shell\n"
    "fi\n"
    "[ -x \"$SHELL\" ] || SHELL=/bin/sh\n"
    "export SHELL\n"
    "[ -n \"$1\" ] || cd \"${HOME:-/}\" 2>/dev/null\n"
    "[ -n \"$2\" ] && exec \"$SHELL\" -l -c \"$2\"\n"
    "exec \"$SHELL\" -l\n";

/* $1 is there where a directory was given, $2 what to run. */
static const char *shell_argv[] = { "/bin/sh", "-c", shell_script, "sh", "", "", NULL };
static struct start_request shell_request = { START_DEFAULTS, .argv = shell_argv, .argc = 3 };

static struct attach_durable shell_durable = { ATTACH_DURABLE_DEFAULTS, .forgets = true };

static struct env_option shell_env;
static const char *shell_workdir;
static const char *shell_line;

static const struct options_row shell_options[] = {
	OPTIONS_TEXT("user", 'u', "USER", &shell_request.user,
	    "the user (default: whoever the agent runs as, mostly root)"),
	OPTIONS_TEXT("workdir", 'w', "DIR", &shell_workdir,
	    "start in DIR, of which ~ is the user's home (default: the home)"),
	ENV_OPTION(&shell_env, "set an environment variable; NAME alone takes our value"),
	OPTIONS_TEXT(NULL, 'c', "COMMAND", &shell_line, "have the shell run COMMAND, and end"),
	OPTIONS_CALL("name", 0, "NAME", durable_options_take_name, &shell_request.name,
	    "the name of a session: letters, digits, '.', '_' and '-', and not digits alone",
	    "go on with the durable session NAME if it runs, else start it"),
	DURABLE_OPTIONS_RECONNECT(&shell_durable.reconnect_seconds),
	DURABLE_OPTIONS_KEYS(&shell_durable.keys),
	OPTIONS_END,
};

static int
shell_prepare(int argc, char **argv)
{
	(void)argv;
	env_option_init(&shell_env, argc, 1);
	(void)keys_parse_detach(KEYS_DETACH_DEFAULT, &shell_durable.keys);
	return argc;
}

/* Finds out whether the session runs; one that has ended is forgotten. Returns -1 to start
 * it, 1 to go on with it, or 0 with *RET_STATUS after a complaint. */
static int
shell_look(const struct session_id *id, int *ret_status)
{
	struct status CLEANUP_STATUS status = { 0 };
	const struct status_slot *slot;

	*ret_status = status_text_ask(&status);
	if (*ret_status == 0)
		*ret_status = session_find_check(&status);
	if (*ret_status != 0)
		return 0;
	slot = session_find_durable(&status, id);
	if (slot == NULL)
		return -1;
	shell_durable.old_until = slot->offset;
	if (slot->running)
		return 1;
	program_forget(id);
	return -1;
}

/* In a session that is there, or becomes so. */
static int
shell_run_durable(struct attach_options *attach)
{
	int status;
	int there;

	program_use_durable(&shell_request, attach, &shell_durable, shell_request.name);
	there = shell_look(&shell_durable.id, &status);
	if (there == 0)
		return VMM_GUEST_EXIT_AGENT;
	if (there < 0)
		return program_run(&shell_request, attach);
	shell_durable.is_asked_for = true;
	attach->tty = false; /* that is the session's to say */
	return program_attach(attach);
}

static int
shell_run(int count, char **operands)
{
	struct attach_options attach = { .forward_stdin = true };

	(void)count;
	(void)operands;
	shell_request.env = shell_env.env;
	shell_request.env_count = shell_env.count;
	if (shell_workdir != NULL) {
		shell_request.working_dir = shell_workdir;
		shell_argv[4] = shell_workdir;
	}
	if (shell_line != NULL)
		shell_argv[5] = shell_line;
	if (shell_workdir != NULL || shell_line != NULL)
		shell_request.argc = 6;
	/* What comes from elsewhere has an end that a terminal could not tell of. */
	if (isatty(STDIN_FILENO))
		program_use_terminal(&shell_request, &attach);
	return shell_request.name[0] != '\0' ? shell_run_durable(&attach)
					     : program_run(&shell_request, &attach);
}

const struct command shell_command = {
	.name = "shell",
	.summary = "open a login shell in the guest",
	.usage = "[OPTION]... [-u USER] [-c COMMAND] [--name NAME]",
	.about =
	    "Opens a login shell in the guest: the shell that the guest's /etc/passwd has for\n"
	    "the user, in that user's home; on a terminal, if standard input is one.\n",
	.more = "\n"
		"With --name the shell goes on when its terminal is closed or the connection\n"
		"breaks, and the same command comes back to it; Ctrl-] d leaves it so (Ctrl-]\n"
		"twice is one for the shell). Without a name, Ctrl-] typed three times within a\n"
		"second ends a shell whose guest hangs.\n"
		"\n"
		"The exit status is the shell's, and 0 where it was left; 125 to 127 as in\n"
		"'vmm-guest-ctl exec --help'.\n",
	.options = shell_options,
	.operands = "it takes no arguments; to run a program: vmm-guest-ctl exec -t PROGRAM",
	.misused = VMM_GUEST_EXIT_AGENT,
	.prepare = shell_prepare,
	.run = shell_run,
};
