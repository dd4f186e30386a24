/*
 * wait_port: "vmm-guest-ctl wait-port": until something in the guest listens.
 *
 * SPDX-License-Identifier: MIT
 */
#include <limits.h>
#include <stdio.h>

#include "ctl/command.h"
#include "ctl/request.h"
#include "protocol/port_request.h"

#define WAIT_PORT_MS_PER_S 1000
#define WAIT_PORT_DEFAULT_MS (30 * WAIT_PORT_MS_PER_S)

/* The agent's own word, that the time is up, is given this time to come; and that of one
 * look more, as it is wanted at once. */
#define WAIT_PORT_GRACE_MS 250
#define WAIT_PORT_LOOK_MS 5000

static uint64_t wait_port_ms = WAIT_PORT_DEFAULT_MS;

static const struct options_row wait_port_options[] = {
	OPTIONS_MS(
	    "timeout", "S", &wait_port_ms, "give up after S seconds (default: 30); 0: look once"),
	OPTIONS_END,
};

/* How long to wait for the agent, which may not answer at all. */
static int
wait_port_limit(void)
{
	uint64_t ms = wait_port_ms > 0 ? wait_port_ms + WAIT_PORT_GRACE_MS : WAIT_PORT_LOOK_MS;

	return (int)(ms < INT_MAX ? ms : INT_MAX);
}

static int
wait_port_run(int count, char **operands)
{
	struct control_answer CLEANUP_ANSWER answer = { 0 };
	char not_made[128];
	char no_time[128];
	struct port_wait wait = { .timeout_ms = wait_port_ms };
	struct request request = {
		.frame = "WAIT_PORT",
		.refused = "the agent would not wait; its log in the guest says why",
		.timeout_ms = wait_port_limit(),
		.no_time = no_time,
		.not_made = not_made,
	};
	size_t len;
	uint64_t port;

	(void)count;
	if (command_parse_number(operands[0], 1, UINT16_MAX, &port) < 0)
		return command_misuse(&wait_port_command, "'%s' is not a port", operands[0]);
	wait.port = (uint16_t)port;
	(void)snprintf(not_made, sizeof(not_made),
	    "nothing in the guest listens on port %u after %g s", wait.port,
	    (double)wait_port_ms / WAIT_PORT_MS_PER_S);
	(void)snprintf(no_time, sizeof(no_time),
	    "whether something listens on port %u is not known: the agent did not answer within "
	    "%g s",
	    wait.port, (double)request.timeout_ms / WAIT_PORT_MS_PER_S);
	return request_run_json(&request, port_wait_format(&wait, &len), &answer);
}

const struct command wait_port_command = {
	.name = "wait-port",
	.summary = "wait until something in the guest listens on a port",
	.usage = "PORT [--timeout S]",
	.about = "Waits until a TCP socket of the guest listens on PORT, on any address. Nothing\n"
		 "is connected to it.\n",
	.more = "\nExit status: 0 when it listens, 1 when the time was up, which it also is\n"
		"where the agent does not answer.\n",
	.options = wait_port_options,
	.operands_min = 1,
	.operands_max = 1,
	.operands = "one port is needed",
	.run = wait_port_run,
};
