/*
 * wait_port: "vmm-guest-ctl wait-port": until something in the guest listens.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdio.h>

#include "ctl/command.h"
#include "ctl/request.h"
#include "protocol/port_request.h"

#define WAIT_PORT_DEFAULT_S 30
#define WAIT_PORT_MS_PER_S 1000ull

static uint32_t wait_port_seconds = WAIT_PORT_DEFAULT_S;

static const struct options_row wait_port_options[] = {
	OPTIONS_SECONDS("timeout", "S", &wait_port_seconds,
	    "give up after S seconds (default: 30); 0: look once"),
	OPTIONS_END,
};

static int
wait_port_run(int count, char **operands)
{
	struct control_answer CLEANUP_ANSWER answer = { 0 };
	char not_made[128];
	struct port_wait wait = { .timeout_ms = wait_port_seconds * WAIT_PORT_MS_PER_S };
	struct request request = {
		.type = VMM_GUEST_WAIT_PORT,
		.refused = "the agent would not wait; its log in the guest says why",
		.not_made = not_made,
	};
	uint64_t port;

	(void)count;
	if (command_parse_number(operands[0], 1, UINT16_MAX, &port) < 0)
		return command_misuse(&wait_port_command, "'%s' is not a port", operands[0]);
	wait.port = (uint16_t)port;
	(void)snprintf(not_made, sizeof(not_made),
	    "nothing in the guest listens on port %u after %u s", wait.port, wait_port_seconds);
	return request_run_json(&request, port_wait_format(&wait, &request.len), &answer);
}

const struct command wait_port_command = {
	.name = "wait-port",
	.summary = "wait until something in the guest listens on a port",
	.usage = "PORT [--timeout S]",
	.about = "Waits until a TCP socket of the guest listens on PORT, on any address. Nothing\n"
		 "is connected to it.\n",
	.more = "\nExit status: 0 when it listens, 1 when the time was up.\n",
	.options = wait_port_options,
	.operands_min = 1,
	.operands_max = 1,
	.operands = "one port is needed",
	.run = wait_port_run,
};
