/*
 * exec: "vmm-guest-ctl exec": a program of the guest, run as if it were here.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "ctl/command.h"
#include "ctl/durable_options.h"
#include "ctl/env_option.h"
#include "ctl/program.h"
#include "ctl/program_report.h"
#include "ctl/quantity.h"

static struct start_request exec_request = { START_DEFAULTS };
static struct attach_options exec_attach;
static struct program_report exec_report;
static struct attach_durable exec_durable = { ATTACH_DURABLE_DEFAULTS, .forgets = true };
static struct env_option exec_env;
static bool exec_has_no_stdin;
static bool exec_is_left;
static const char *exec_durable_text; /* NULL: no options were given */
static char exec_drawn_name[VMM_GUEST_NAME_MAX + 1];

/* Seconds, of which 0 would be none at all. */
static int
exec_take_seconds(const struct options_row *row, char *text)
{
	int r = options_take_seconds(row, text);

	return r == 0 && *(uint32_t *)row->into == 0 ? -EINVAL : r;
}

static void
exec_set_limit(enum start_limit limit, uint64_t value)
{
	exec_request.limits.have |= (uint8_t)(1u << limit);
	exec_request.limits.value[limit] = value;
}

/* The row's own limit. */
static int
exec_take_named_limit(const struct options_row *row, char *text)
{
	uint64_t value;
	int r = quantity_parse_bytes(text, &value);

	if (r == 0)
		exec_set_limit((enum start_limit)row->value, value);
	return r;
}

/* Processors, "1.5", as percents of one. */
static int
exec_take_cpus(const struct options_row *row, char *text)
{
	uint64_t percent;
	int r = quantity_parse_hundredths(text, &percent);

	(void)row;
	if (r == 0 && percent == 0)
		return -EINVAL;
	if (r == 0)
		exec_set_limit(START_LIMIT_CPU_PERCENT, percent);
	return r;
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
	exec_report.file.path = text;
	return 0;
}

static int
exec_take_durable(const struct options_row *row, char *text)
{
	(void)row;
	exec_request.is_durable = true;
	exec_durable_text = text;
	return text != NULL ? durable_options_parse(text, &exec_request.durable) : 0;
}

static const struct options_row exec_options[] = {
	OPTIONS_FLAG("interactive", 'i', &exec_attach.forward_stdin,
	    "send our standard input; without it the program's is /dev/null"),
	OPTIONS_ALIAS("stdin", NULL, options_take_flag, &exec_attach.forward_stdin, NULL),
	OPTIONS_FLAG("tty", 't', &exec_request.tty,
	    "run it on a terminal; ours, if standard input is one, is passed through: what is "
	    "typed (as by -i), size and TERM"),
	ENV_OPTION(&exec_env, "set an environment variable; NAME alone takes our value"),
	ENV_OPTION_FILE(&exec_env),
	OPTIONS_TEXT("workdir", 'w', "DIR", &exec_request.working_dir,
	    "start in DIR; ~ is the user's home (default: /)"),
	OPTIONS_TEXT("user", 'u', "USER", &exec_request.user,
	    "run as USER: a name or number, or USER:GROUP"),
	OPTIONS_FLAG("no-stdin", 0, &exec_has_no_stdin,
	    "what is so without -i and -t: /dev/null as standard input"),
	OPTIONS_CALL("name", 0, "NAME", durable_options_take_name, &exec_request.name,
	    "the name of a session: letters, digits, '.', '_' and '-', and not digits alone",
	    "call the session NAME"),
	OPTIONS_CALL("durable", 0, "[=OPTIONS]", exec_take_durable, NULL,
	    "buffer=SIZE,keep=DURATION,alone=DURATION,when-full=attached|drop|wait, or some of "
	    "these, each in its range",
	    "run it in a session that outlives its connection; OPTIONS are below"),
	OPTIONS_FLAG("detach", 'd', &exec_is_left,
	    "start it so, and leave it; prints its name, for logs, attach, kill and forget"),
	DURABLE_OPTIONS_RECONNECT(&exec_durable.reconnect_seconds),
	DURABLE_OPTIONS_KEYS(&exec_durable.keys),
	OPTIONS_CALL("timeout", 0, "S", exec_take_seconds, &exec_request.timeout_seconds,
	    OPTIONS_OF_SECONDS,
	    "kill all that it started after S seconds (or 2m, 1h; a part counts as a whole one)"),
	OPTIONS_CALL("kill-grace", 0, "S", exec_take_seconds, &exec_request.kill_grace_seconds,
	    OPTIONS_OF_SECONDS, "on timeout SIGTERM first, and SIGKILL S seconds later"),
	OPTIONS_CALL("limit", 0, "NAME=N", exec_take_limit, NULL,
	    "NAME=NUMBER, with a name that --help lists",
	    "set a limit, of memory_bytes, pids, cpu_percent, nofile, core_bytes or "
	    "fsize_bytes; N may end in K, M or G"),
	{ .name = "memory",
	    .argument = "SIZE",
	    .help = "the limit memory_bytes",
	    .take = exec_take_named_limit,
	    .value = START_LIMIT_MEMORY_BYTES,
	    .what = "a number of bytes" },
	OPTIONS_CALL("cpus", 0, "N", exec_take_cpus, NULL, "a number of processors",
	    "the limit cpu_percent, as processors: 1.5 is 150"),
	{ .name = "pids-limit",
	    .argument = "N",
	    .help = "the limit pids",
	    .take = exec_take_named_limit,
	    .value = START_LIMIT_PIDS,
	    .what = "a number" },
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

	if (exec_has_no_stdin && (request->tty || exec_attach.forward_stdin))
		return command_misuse(&exec_command, "--no-stdin does not go with -i or -t");
	if (request->kill_grace_seconds > 0 && request->timeout_seconds == 0)
		return command_misuse(&exec_command, "--kill-grace needs a --timeout");
	return -1;
}

/* What is left is somebody else's to attach to: our terminal and standard input are not its. */
static void
exec_let_go(void)
{
	exec_attach.tty = false;
	exec_attach.forward_stdin = false;
	exec_durable.keeps_stdin = true;
	exec_durable.leaves_at_once = true;
	/* Nobody waits for what it says, unless that was asked for. */
	exec_request.durable.when_full = START_FULL_DROP;
	if (exec_durable_text != NULL)
		(void)durable_options_parse(exec_durable_text, &exec_request.durable);
}

static void
exec_use_durable(void)
{
	const char *name = exec_request.name;

	if (exec_is_left)
		exec_let_go();
	if (name[0] == '\0') {
		durable_options_draw_name(exec_request.argv[0], exec_drawn_name);
		name = exec_drawn_name;
		exec_durable.owns_name = true;
	}
	program_use_durable(&exec_request, &exec_attach, &exec_durable, name);
}

static int
exec_start(void)
{
	struct start_request *request = &exec_request;
	bool wants_report = request->report && !exec_is_left;
	int status = report_file_open(&exec_report.file);

	if (status >= 0)
		return status;
	if (request->tty)
		program_use_terminal(request, &exec_attach);
	if (request->report)
		program_keep_report(&exec_attach, &exec_report);
	if (request->is_durable || exec_is_left)
		exec_use_durable();
	status = program_run(request, &exec_attach);
	if (exec_is_left && status == 0)
		command_print(request->name);
	/* Of what was lost, or never ran, that has been said. */
	if (wants_report && status != VMM_GUEST_EXIT_AGENT)
		program_print_report(&exec_report);
	return report_file_close(&exec_report.file, status);
}

/* Room for the environment: no more variables than arguments, and TERM. */
static int
exec_prepare(int argc, char **argv)
{
	(void)argv;
	(void)keys_parse_detach(KEYS_DETACH_DEFAULT, &exec_durable.keys);
	env_option_init(&exec_env, argc, 1);
	return argc;
}

static int
exec_run(int count, char **operands)
{
	int status = exec_check();

	exec_request.env = exec_env.env;
	exec_request.env_count = exec_env.count;
	if (status < 0) {
		/* An empty pipe is input to some, as rg, which then search it. */
		exec_request.stdin_open = exec_request.tty || exec_attach.forward_stdin;
		exec_request.argv = (const char **)(uintptr_t)operands;
		exec_request.argc = (size_t)count;
		status = exec_start();
	}
	env_option_done(&exec_env);
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
		"With --durable the program goes on when the connection ends. If that breaks we\n"
		"come back to it, and what comes out here goes on where it was. With -t, Ctrl-] d\n"
		"leaves it (Ctrl-] twice is one for the program); without -t a second Ctrl-C.\n"
		"Its name is drawn if none is given. OPTIONS, with commas between them:\n"
		"  buffer=SIZE        how much of its output is kept, 64K to 16M (default: 1M)\n"
		"  keep=DURATION      how long its end is kept, up to 7d (default: 10m)\n"
		"  alone=DURATION     it is ended when nobody was there for so long (default: 0,\n"
		"                     never)\n"
		"  when-full=HOW      what becomes of its output when more comes than is kept:\n"
		"                     attached: the program waits for the host that has its\n"
		"                     input, and without one the oldest is dropped (the\n"
		"                     default); drop: the oldest is dropped (the default with\n"
		"                     -d); wait: the program waits until somebody comes for it\n"
		"\n"
		"Exit status: the program's, or 128 plus the number of the signal that ended it;\n"
		"  127  there is no such program\n"
		"  126  it is there and can't be run, or the user or directory can't be used\n"
		"  125  the agent can't be reached, or could not serve the request\n"
		"\n"
		"Examples:\n"
		"  vmm-guest-ctl exec uname -a\n"
		"  vmm-guest-ctl exec -i -- tar -xzf - -C /srv <site.tar.gz\n"
		"  vmm-guest-ctl exec -t -u app -w /srv -- top\n"
		"  vmm-guest-ctl exec -d --name job --durable=keep=1d -- /srv/job\n",
	.options = exec_options,
	.in_order = true,
	.operands_min = 1,
	.operands_max = COMMAND_OPERANDS_ANY,
	.operands = "which program?",
	.misused = VMM_GUEST_EXIT_AGENT,
	.prepare = exec_prepare,
	.run = exec_run,
};
