/*
 * exec: "vmm-guest-ctl exec": a program of the guest, run as if it were here.
 */
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/command.h"
#include "ctl/program.h"

static const char exec_help[] =
    "Usage: vmm-guest-ctl exec [OPTION]... [--] PROGRAM [ARGUMENT]...\n"
    "\n"
    "Runs PROGRAM in the guest. Its standard output and error come out here, and\n"
    "its exit status becomes ours.\n"
    "\n"
    "  -i, --interactive     send our standard input; without it the program's\n"
    "                        standard input is empty\n"
    "  -t, --tty             run it on a terminal; ours, if standard input is one, is\n"
    "                        passed through: what is typed (as by -i), size and TERM\n"
    "  -e, --env NAME=VALUE  set an environment variable; NAME alone takes our value\n"
    "  -w, --workdir DIR     start in DIR; ~ is the user's home (default: /)\n"
    "  -u, --user USER       run as USER: a name or number, or USER:GROUP\n"
    "      --timeout S       kill all that it started after S seconds\n"
    "  -h, --help            show this help\n"
    "\n"
    "Ctrl-C, and the signals TERM, HUP and QUIT, are passed on to the program. A\n"
    "second one within 2 seconds ends the connection, and so the program: the agent\n"
    "sends it SIGHUP, and kills what is left 2 seconds later. With -t keys go to the\n"
    "program as they are, and signals end the connection at once; where the guest\n"
    "hangs, so does Ctrl-] typed three times within a second.\n"
    "\n"
    "Exit status: the program's, or 128 plus the number of the signal that ended it;\n"
    "  127  there is no such program\n"
    "  126  it is there and can't be run, or the user or directory can't be used\n"
    "  125  the agent can't be reached, or could not serve the request\n"
    "\n"
    "Examples:\n"
    "  vmm-guest-ctl exec uname -a\n"
    "  vmm-guest-ctl exec -i -- tar -xzf - -C /srv <site.tar.gz\n"
    "  vmm-guest-ctl exec -t -u app -w /srv -- top\n";

struct exec_arguments {
	struct start_request request;
	struct relay_options relay;
};

static const struct option exec_options[] = {
	{ "interactive", no_argument, NULL, 'i' },
	{ "tty", no_argument, NULL, 't' },
	{ "env", required_argument, NULL, 'e' },
	{ "workdir", required_argument, NULL, 'w' },
	{ "user", required_argument, NULL, 'u' },
	{ "timeout", required_argument, NULL, 'T' },
	{ "help", no_argument, NULL, 'h' },
	{ 0 },
};

/* Adds TEXT, "NAME=VALUE" or "NAME". The request borrows TEXT, which is cut at '='. */
static int
exec_add_env(struct start_request *request, char *text)
{
	char *equals = strchr(text, '=');
	const char *value = equals != NULL ? equals + 1 : getenv(text);

	if (text[0] == '\0' || equals == text)
		return -EINVAL;
	if (equals != NULL)
		*equals = '\0';
	if (value != NULL)
		request->env[request->env_count++] =
		    (struct start_env){ .name = text, .value = value };
	return 0;
}

static int
exec_parse_seconds(const char *text, uint32_t *ret)
{
	uint64_t seconds;
	int r = command_parse_number(text, 1, UINT32_MAX, &seconds);

	if (r == 0)
		*ret = (uint32_t)seconds;
	return r;
}

/* Reads the options. Returns -1 to go on, or the exit status. */
static int
exec_parse_options(struct exec_arguments *arguments, int argc, char **argv)
{
	struct start_request *request = &arguments->request;
	int c;

	while ((c = getopt_long(argc, argv, "+ite:w:u:h", exec_options, NULL)) != -1) {
		switch (c) {
		case 'i':
			arguments->relay.forward_stdin = true;
			break;
		case 't':
			request->tty = true;
			break;
		case 'e':
			if (exec_add_env(request, optarg) < 0)
				return command_misuse(
				    &exec_command, "-e: '%s' is not NAME=VALUE", optarg);
			break;
		case 'w':
			request->working_dir = optarg;
			break;
		case 'u':
			request->user = optarg;
			break;
		case 'T':
			if (exec_parse_seconds(optarg, &request->timeout_seconds) < 0)
				return command_misuse(&exec_command,
				    "--timeout: '%s' is no number of seconds", optarg);
			break;
		case 'h':
			return command_help(&exec_command);
		default:
			return command_misuse(&exec_command, NULL);
		}
	}
	if (optind == argc)
		return command_misuse(&exec_command, "which program?");
	return -1;
}

static int
exec_run(int argc, char **argv)
{
	struct exec_arguments arguments = {
		.request = { .working_dir = "", .user = "", .stdin_open = true },
	};
	struct start_request *request = &arguments.request;
	int status;

	/* No more variables than arguments, and TERM. */
	request->env = calloc((size_t)argc + 1, sizeof(*request->env));
	if (request->env == NULL)
		return command_fail("out of memory");
	status = exec_parse_options(&arguments, argc, argv);
	if (status < 0) {
		request->argv = (const char **)(uintptr_t)(argv + optind);
		request->argc = (size_t)(argc - optind);
		if (request->tty)
			program_use_terminal(request, &arguments.relay);
		status = program_run(request, &arguments.relay);
	}
	free(request->env);
	return status;
}

const struct command exec_command = {
	.name = "exec",
	.summary = "run a program in the guest",
	.help = exec_help,
	.misused = VMM_GUEST_EXIT_AGENT,
	.run = exec_run,
};
