/*
 * exec: "vmm-guest-ctl exec": a program of the guest, run as if it were here.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/command.h"
#include "ctl/program.h"
#include "ctl/program_report.h"
#include "ctl/quantity.h"

static struct start_request exec_request = { START_DEFAULTS };
static struct attach_options exec_attach;
static struct program_report exec_report;
static bool exec_has_no_stdin;

static const char *exec_report_path; /* NULL: none, or standard error */

/* "NAME=VALUE" or "NAME". The request borrows TEXT, which is cut at '='. */
static int
exec_take_env(const struct options_row *row, char *text)
{
	char *equals = strchr(text, '=');
	const char *value = equals != NULL ? equals + 1 : getenv(text);

	(void)row;
	if (text[0] == '\0' || equals == text)
		return -EINVAL;
	if (equals != NULL)
		*equals = '\0';
	if (value != NULL)
		exec_request.env[exec_request.env_count++] =
		    (struct start_env){ .name = text, .value = value };
	return 0;
}

/* Seconds, of which 0 would be none at all. */
static int
exec_take_seconds(const struct options_row *row, char *text)
{
	int r = options_take_seconds(row, text);

	return r == 0 && *(uint32_t *)row->into == 0 ? -EINVAL : r;
}

/* "NAME=NUMBER". */
static int
exec_take_limit(const struct options_row *row, char *text)
{
	const char *equals = strchr(text, '=');
	struct start_limits *limits = &exec_request.limits;

	(void)row;
	for (int i = 0; equals != NULL && i < START_LIMIT_COUNT; i++) {
		const char *name = start_limit_name((enum start_limit)i);

		if (strlen(name) == (size_t)(equals - text) &&
		    strncmp(text, name, strlen(name)) == 0) {
			limits->have |= (uint8_t)(1u << i);
			return quantity_parse_bytes(equals + 1, &limits->value[i]);
		}
	}
	return -EINVAL;
}

static int
exec_take_report(const struct options_row *row, char *text)
{
	(void)row;
	exec_request.report = true;
	exec_report_path = text;
	return 0;
}

static const struct options_row exec_options[] = {
	OPTIONS_FLAG("interactive", 'i', &exec_attach.forward_stdin,
	    "send our standard input; without it the program's standard input is empty"),
	OPTIONS_FLAG("tty", 't', &exec_request.tty,
	    "run it on a terminal; ours, if standard input is one, is passed through: what is "
	    "typed (as by -i), size and TERM"),
	OPTIONS_CALL("env", 'e', "NAME=VALUE", exec_take_env, NULL, "NAME=VALUE",
	    "set an environment variable; NAME alone takes our value"),
	OPTIONS_TEXT("workdir", 'w', "DIR", &exec_request.working_dir,
	    "start in DIR; ~ is the user's home (default: /)"),
	OPTIONS_TEXT("user", 'u', "USER", &exec_request.user,
	    "run as USER: a name or number, or USER:GROUP"),
	OPTIONS_FLAG("no-stdin", 0, &exec_has_no_stdin,
	    "/dev/null as standard input, instead of an empty pipe"),
	OPTIONS_FLAG("detach", 'd', &exec_request.detach,
	    "start it and leave it running; prints its process id"),
	OPTIONS_CALL("timeout", 0, "S", exec_take_seconds, &exec_request.timeout_seconds,
	    OPTIONS_OF_SECONDS, "kill all that it started after S seconds"),
	OPTIONS_CALL("kill-grace", 0, "S", exec_take_seconds, &exec_request.kill_grace_seconds,
	    OPTIONS_OF_SECONDS, "on timeout SIGTERM first, and SIGKILL S seconds later"),
	OPTIONS_CALL("limit", 0, "NAME=N", exec_take_limit, NULL,
	    "NAME=NUMBER, with a name that --help lists",
	    "set a limit, of memory_bytes, pids, cpu_percent, nofile, core_bytes or "
	    "fsize_bytes; N may end in K, M or G"),
	OPTIONS_CALL("report", 0, "[=FILE]", exec_take_report, NULL, NULL,
	    "say how it ended and what it took, on standard error; or the agent's words "
	    "for it as JSON, one a line, to FILE"),
	OPTIONS_END,
};

/* What does not go together. Returns -1 to go on, or the exit status. */
static int
exec_check(void)
{
	const struct start_request *request = &exec_request;

	if (request->detach &&
	    (request->tty || exec_attach.forward_stdin || request->timeout_seconds > 0))
		return command_misuse(
		    &exec_command, "--detach does not go with -i, -t or --timeout");
	if (exec_has_no_stdin && (request->tty || exec_attach.forward_stdin))
		return command_misuse(&exec_command, "--no-stdin does not go with -i or -t");
	if (request->kill_grace_seconds > 0 && request->timeout_seconds == 0)
		return command_misuse(&exec_command, "--kill-grace needs a --timeout");
	return -1;
}

/* Opens the report's FILE. Returns -1 to go on, or the exit status. */
static int
exec_open_report(void)
{
	if (exec_report_path == NULL)
		return -1;
	exec_report.json = fopen(exec_report_path, "we");
	if (exec_report.json != NULL)
		return -1;
	(void)command_fail("can't write to %s: %s", exec_report_path, strerror(errno));
	return VMM_GUEST_EXIT_AGENT;
}

/* Returns the exit status, which is STATUS unless that hides what is missing. */
static int
exec_close_report(int status)
{
	int error = exec_report.json_error;

	if (exec_report.json == NULL)
		return status;
	if (fclose(exec_report.json) != 0 && error == 0)
		error = errno;
	if (error == 0)
		return status;
	(void)command_fail("can't write to %s: %s", exec_report_path, strerror(error));
	return status != 0 ? status : VMM_GUEST_EXIT_AGENT;
}

static int
exec_start(void)
{
	struct start_request *request = &exec_request;
	bool wants_report = request->report && !request->detach;
	int status = exec_open_report();

	if (status >= 0)
		return status;
	if (request->tty)
		program_use_terminal(request, &exec_attach);
	if (request->detach || request->report)
		program_use_report(request, &exec_attach, &exec_report);
	status = program_run(request, &exec_attach);
	/* Of what was lost, or never ran, that has been said. */
	if (wants_report && status != VMM_GUEST_EXIT_AGENT)
		program_print_report(&exec_report);
	return exec_close_report(status);
}

/* Room for the environment: no more variables than arguments, and TERM. */
static int
exec_prepare(int argc, char **argv)
{
	(void)argv;
	exec_request.env = calloc((size_t)argc + 1, sizeof(*exec_request.env));
	if (exec_request.env == NULL)
		exit(command_fail("out of memory"));
	return argc;
}

static int
exec_run(int count, char **operands)
{
	int status = exec_check();

	if (status < 0) {
		exec_request.stdin_open = !exec_has_no_stdin;
		exec_request.argv = (const char **)(uintptr_t)operands;
		exec_request.argc = (size_t)count;
		status = exec_start();
	}
	free(exec_request.env);
	return status;
}

const struct command exec_command = {
	.name = "exec",
	.summary = "run a program in the guest",
	.usage = "[OPTION]... [--] PROGRAM [ARGUMENT]...",
	.about = "Runs PROGRAM in the guest. Its standard output and error come out here, and\n"
		 "its exit status becomes ours.\n",
	.more = "\n"
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
		"  vmm-guest-ctl exec -t -u app -w /srv -- top\n",
	.options = exec_options,
	.in_order = true,
	.operands_min = 1,
	.operands_max = COMMAND_OPERANDS_ANY,
	.operands = "which program?",
	.misused = VMM_GUEST_EXIT_AGENT,
	.prepare = exec_prepare,
	.run = exec_run,
};
