/*
 * exec: "vmm-guest-ctl exec": a program of the guest, run as if it were here.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/command.h"
#include "ctl/program.h"
#include "ctl/program_report.h"
#include "ctl/quantity.h"

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
    "      --no-stdin        /dev/null as standard input, instead of an empty pipe\n"
    "  -d, --detach          start it and leave it running; prints its process id\n"
    "      --timeout S       kill all that it started after S seconds\n"
    "      --kill-grace S    on timeout SIGTERM first, and SIGKILL S seconds later\n"
    "      --limit NAME=N    set a limit, of memory_bytes, pids, cpu_percent, nofile,\n"
    "                        core_bytes or fsize_bytes; N may end in K, M or G\n"
    "      --report[=FILE]   say how it ended and what it took, on standard error; or\n"
    "                        the agent's words for it as JSON, one a line, to FILE\n"
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
	struct attach_options attach;
	struct program_report report;
	const char *report_path; /* NULL: none, or standard error */
};

static const struct option exec_options[] = {
	{ "interactive", no_argument, NULL, 'i' },
	{ "tty", no_argument, NULL, 't' },
	{ "env", required_argument, NULL, 'e' },
	{ "workdir", required_argument, NULL, 'w' },
	{ "user", required_argument, NULL, 'u' },
	{ "no-stdin", no_argument, NULL, 'N' },
	{ "detach", no_argument, NULL, 'd' },
	{ "timeout", required_argument, NULL, 'T' },
	{ "kill-grace", required_argument, NULL, 'G' },
	{ "limit", required_argument, NULL, 'L' },
	{ "report", optional_argument, NULL, 'R' },
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

/* Reads "NAME=NUMBER". */
static int
exec_add_limit(struct start_request *request, const char *text)
{
	const char *equals = strchr(text, '=');

	for (int i = 0; equals != NULL && i < START_LIMIT_COUNT; i++) {
		const char *name = start_limit_name((enum start_limit)i);

		if (strlen(name) == (size_t)(equals - text) &&
		    strncmp(text, name, strlen(name)) == 0) {
			request->limits.have |= (uint8_t)(1u << i);
			return quantity_parse_bytes(equals + 1, &request->limits.value[i]);
		}
	}
	return -EINVAL;
}

/* What does not go together. Returns -1 to go on, or the exit status. */
static int
exec_check(const struct exec_arguments *arguments)
{
	const struct start_request *request = &arguments->request;

	if (request->detach &&
	    (request->tty || arguments->attach.forward_stdin || request->timeout_seconds > 0))
		return command_misuse(
		    &exec_command, "--detach does not go with -i, -t or --timeout");
	if (!request->stdin_open && (request->tty || arguments->attach.forward_stdin))
		return command_misuse(&exec_command, "--no-stdin does not go with -i or -t");
	if (request->kill_grace_seconds > 0 && request->timeout_seconds == 0)
		return command_misuse(&exec_command, "--kill-grace needs a --timeout");
	return -1;
}

/* The options that are for the session as a whole. Returns -1 to go on, or the exit
 * status. */
static int
exec_parse_session_option(struct exec_arguments *arguments, int c, const char *text)
{
	struct start_request *request = &arguments->request;

	switch (c) {
	case 'N':
		request->stdin_open = false;
		break;
	case 'd':
		request->detach = true;
		break;
	case 'T':
		if (exec_parse_seconds(text, &request->timeout_seconds) < 0)
			return command_misuse(
			    &exec_command, "--timeout: '%s' is no number of seconds", text);
		break;
	case 'G':
		if (exec_parse_seconds(text, &request->kill_grace_seconds) < 0)
			return command_misuse(
			    &exec_command, "--kill-grace: '%s' is no number of seconds", text);
		break;
	case 'L':
		if (exec_add_limit(request, text) < 0)
			return command_misuse(&exec_command,
			    "--limit: '%s' is not NAME=NUMBER, with a name that --help lists",
			    text);
		break;
	case 'R':
		request->report = true;
		arguments->report_path = text;
		break;
	default:
		return command_misuse(&exec_command, NULL);
	}
	return -1;
}

/* Reads the options. Returns -1 to go on, or the exit status. */
static int
exec_parse_options(struct exec_arguments *arguments, int argc, char **argv)
{
	struct start_request *request = &arguments->request;
	int status;
	int c;

	while ((c = getopt_long(argc, argv, "+ite:w:u:dh", exec_options, NULL)) != -1) {
		switch (c) {
		case 'i':
			arguments->attach.forward_stdin = true;
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
		case 'h':
			return command_help(&exec_command);
		default:
			status = exec_parse_session_option(arguments, c, optarg);
			if (status >= 0)
				return status;
		}
	}
	if (optind == argc)
		return command_misuse(&exec_command, "which program?");
	return exec_check(arguments);
}

/* Opens the report's FILE. Returns -1 to go on, or the exit status. */
static int
exec_open_report(struct exec_arguments *arguments)
{
	if (arguments->report_path == NULL)
		return -1;
	arguments->report.json = fopen(arguments->report_path, "we");
	if (arguments->report.json != NULL)
		return -1;
	(void)command_fail("can't write to %s: %s", arguments->report_path, strerror(errno));
	return VMM_GUEST_EXIT_AGENT;
}

/* Returns the exit status, which is STATUS unless that hides what is missing. */
static int
exec_close_report(struct exec_arguments *arguments, int status)
{
	int error = arguments->report.json_error;

	if (arguments->report.json == NULL)
		return status;
	if (fclose(arguments->report.json) != 0 && error == 0)
		error = errno;
	if (error == 0)
		return status;
	(void)command_fail("can't write to %s: %s", arguments->report_path, strerror(error));
	return status != 0 ? status : VMM_GUEST_EXIT_AGENT;
}

static int
exec_start(struct exec_arguments *arguments)
{
	struct start_request *request = &arguments->request;
	bool wants_report = request->report && !request->detach;
	int status = exec_open_report(arguments);

	if (status >= 0)
		return status;
	if (request->tty)
		program_use_terminal(request, &arguments->attach);
	if (request->detach || request->report)
		program_use_report(request, &arguments->attach, &arguments->report);
	status = program_run(request, &arguments->attach);
	/* Of what was lost, or never ran, that has been said. */
	if (wants_report && status != VMM_GUEST_EXIT_AGENT)
		program_print_report(&arguments->report);
	return exec_close_report(arguments, status);
}

static int
exec_run(int argc, char **argv)
{
	struct exec_arguments arguments = {
		.request = { START_DEFAULTS },
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
		status = exec_start(&arguments);
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
