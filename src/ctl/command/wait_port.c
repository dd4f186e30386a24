/*
 * wait_port: "vmm-guest-ctl wait-port": until something in the guest listens.
 *
 * SPDX-License-Identifier: MIT
 */
#include <getopt.h>
#include <stdint.h>
#include <stdlib.h>

#include "ctl/command.h"
#include "ctl/control.h"
#include "protocol/port_request.h"

#define WAIT_PORT_DEFAULT_S 30
#define WAIT_PORT_MS_PER_S 1000

static const char wait_port_help[] =
    "Usage: vmm-guest-ctl wait-port PORT [--timeout S]\n"
    "\n"
    "Waits until a TCP socket of the guest listens on PORT, on any address. Nothing\n"
    "is connected to it.\n"
    "\n"
    "      --timeout S  give up after S seconds (default: 30); 0: look once\n"
    "  -h, --help       show this help\n"
    "\n"
    "Exit status: 0 when it listens, 1 when the time was up.\n";

static const struct option wait_port_options[] = {
	{ "timeout", required_argument, NULL, 'T' },
	{ "help", no_argument, NULL, 'h' },
	{ 0 },
};

static int
wait_port_ask(uint16_t port, uint64_t seconds)
{
	struct control_answer CLEANUP_ANSWER answer = { 0 };
	struct port_wait request = { .port = port, .timeout_ms = seconds * WAIT_PORT_MS_PER_S };
	struct client_error error = { "" };
	size_t len = 0;
	char *json = port_wait_format(&request, &len);
	int r;

	if (json == NULL)
		return command_fail("out of memory");
	r = control_ask(VMM_GUEST_WAIT_PORT, json, len, -1, &answer, &error);
	free(json);
	if (r < 0)
		return command_fail("%s", error.text);
	if (answer.exit.code == VMM_GUEST_EXIT_OK)
		return 0;
	if (answer.exit.code == VMM_GUEST_EXIT_NOT_MADE)
		return command_fail("nothing in the guest listens on port %u after %llu s", port,
		    (unsigned long long)seconds);
	return command_fail("the agent would not wait; its log in the guest says why");
}

static int
wait_port_run(int argc, char **argv)
{
	uint64_t seconds = WAIT_PORT_DEFAULT_S;
	uint64_t port;
	int c;

	while ((c = getopt_long(argc, argv, "h", wait_port_options, NULL)) != -1) {
		switch (c) {
		case 'T':
			if (command_parse_number(optarg, 0, UINT32_MAX, &seconds) < 0)
				return command_misuse(&wait_port_command,
				    "--timeout: '%s' is no number of seconds", optarg);
			break;
		case 'h':
			return command_help(&wait_port_command);
		default:
			return command_misuse(&wait_port_command, NULL);
		}
	}
	if (argc - optind != 1)
		return command_misuse(&wait_port_command, "one port is needed");
	if (command_parse_number(argv[optind], 1, UINT16_MAX, &port) < 0)
		return command_misuse(&wait_port_command, "'%s' is no port", argv[optind]);
	return wait_port_ask((uint16_t)port, seconds);
}

const struct command wait_port_command = {
	.name = "wait-port",
	.summary = "wait until something in the guest listens on a port",
	.help = wait_port_help,
	.run = wait_port_run,
};
