/*
 * kill: "vmm-guest-ctl kill": a signal for a session of the guest.
 *
 * SPDX-License-Identifier: MIT
 */
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>

#include "ctl/command.h"
#include "ctl/control.h"
#include "ctl/signal_name.h"
#include "protocol/control_request.h"

static const char kill_help[] =
    "Usage: vmm-guest-ctl kill SESSION [SIGNAL]\n"
    "       vmm-guest-ctl kill -SIGNAL SESSION\n"
    "\n"
    "Sends a signal to the program of a session, detached ones too. SESSION is its\n"
    "number in 'vmm-guest-ctl ps'; SIGNAL a name or number (default: TERM). It goes\n"
    "to the session's process group; KILL to all that the session ever started.\n"
    "\n"
    "  -h, --help  show this help\n"
    "\n"
    "Exit status: 0 when the signal was sent, 1 if there is no such session.\n";

static const struct option kill_options[] = {
	{ "help", no_argument, NULL, 'h' },
	{ 0 },
};

static int
kill_send(const struct control_kill *request)
{
	struct control_answer CLEANUP_ANSWER answer = { 0 };
	struct client_error error = { "" };
	size_t len;
	char *json = control_kill_format(request, &len);
	int r;

	if (json == NULL)
		return command_fail("out of memory");
	r = control_ask(VMM_GUEST_KILL, json, len, -1, &answer, &error);
	free(json);
	if (r < 0)
		return command_fail("%s", error.text);
	if (answer.exit.code == VMM_GUEST_EXIT_OK)
		return 0;
	if (answer.exit.code == VMM_GUEST_EXIT_NOT_MADE)
		return command_fail("no program runs in a session %llu (see 'vmm-guest-ctl ps')",
		    (unsigned long long)request->session);
	return command_fail("the agent would not do it; its log in the guest says why");
}

static int
kill_run(int argc, char **argv)
{
	struct control_kill request = { .signal = SIGTERM };
	int c;

	/* "-9" and "-TERM", as kill(1) has them. */
	if (argc > 1 && argv[1][0] == '-' && signal_name_parse(argv[1] + 1) > 0) {
		request.signal = signal_name_parse(argv[1] + 1);
		argv[1] = argv[0];
		argv++;
		argc--;
	}
	while ((c = getopt_long(argc, argv, "h", kill_options, NULL)) != -1) {
		if (c == 'h')
			return command_help(&kill_command);
		return command_misuse(&kill_command, NULL);
	}
	if (argc - optind < 1 || argc - optind > 2)
		return command_misuse(&kill_command, "a session's number is needed");
	if (command_parse_number(argv[optind], 1, INT64_MAX, &request.session) < 0)
		return command_misuse(
		    &kill_command, "'%s' is no number of a session", argv[optind]);
	if (argc - optind == 2)
		request.signal = signal_name_parse(argv[optind + 1]);
	if (request.signal < 0)
		return command_misuse(&kill_command, "'%s' is no signal", argv[optind + 1]);
	return kill_send(&request);
}

const struct command kill_command = {
	.name = "kill",
	.summary = "send a signal to a session",
	.help = kill_help,
	.run = kill_run,
};
