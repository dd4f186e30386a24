/*
 * wait: "vmm-guest-ctl wait": until the agent answers.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <poll.h>
#include <stdbool.h>

#include "ctl/command.h"
#include "ctl/control.h"
#include "platform/clock.h"

#define WAIT_MS_PER_S 1000
#define WAIT_PAUSE_FIRST_MS 10
#define WAIT_PAUSE_MAX_MS 250

/* A name that is misspelt, or a module that is missing, is waited for in vain: after so
 * long it says what it waits for, once. */
#define WAIT_TELL_MS 5000

/* For one try: a VMM may take a connection and leave it unanswered for ever; and
 * the last one has to have a chance. */
#define WAIT_TRY_MAX_MS 5000
#define WAIT_TRY_MIN_MS 250

static const char wait_help[] =
    "Usage: vmm-guest-ctl wait [--timeout S]\n"
    "\n"
    "Waits until the agent answers: the VM has booted, and programs can be run. After\n"
    "5 s it says once what stands in the way.\n"
    "\n"
    "      --timeout S  give up after S seconds (default: never)\n"
    "  -h, --help       show this help\n"
    "\n"
    "Exit status: 0 when it has answered, 1 when the time was up; the message says\n"
    "what went wrong in the last try.\n";

static const struct option wait_options[] = {
	{ "timeout", required_argument, NULL, 'T' },
	{ "help", no_argument, NULL, 'h' },
	{ 0 },
};

/* An agent of the first day knows no STATUS_REQ: a refusal, or a close after the
 * handshake, is an answer too. */
static int
wait_try(uint64_t deadline_ms, struct client_error *error)
{
	struct control_answer CLEANUP_ANSWER answer = { 0 };
	int left = clock_poll_timeout(clock_mono_ms(), deadline_ms);
	int r;

	if (left < 0 || left > WAIT_TRY_MAX_MS)
		left = WAIT_TRY_MAX_MS;
	if (left < WAIT_TRY_MIN_MS)
		left = WAIT_TRY_MIN_MS;
	r = control_ask(VMM_GUEST_STATUS_REQ, NULL, 0, left, &answer, error);
	return r == -ENODATA ? 0 : r;
}

static int
wait_until(uint64_t deadline_ms)
{
	struct client_error error = { "" };
	uint64_t tell_ms = clock_mono_ms() + WAIT_TELL_MS;
	int pause_ms = WAIT_PAUSE_FIRST_MS;
	int r;

	while ((r = wait_try(deadline_ms, &error)) < 0) {
		int left = clock_poll_timeout(clock_mono_ms(), deadline_ms);

		if (r == -EINVAL)
			return command_fail("%s", error.text);
		if (left == 0)
			return command_fail("the time is up: %s", error.text);
		if (clock_mono_ms() >= tell_ms) {
			(void)command_fail("waiting: %s", error.text);
			tell_ms = CLOCK_NEVER;
		}
		(void)poll(NULL, 0, left > 0 && left < pause_ms ? left : pause_ms);
		pause_ms = pause_ms * 2 < WAIT_PAUSE_MAX_MS ? pause_ms * 2 : WAIT_PAUSE_MAX_MS;
	}
	return 0;
}

static int
wait_run(int argc, char **argv)
{
	uint64_t deadline = CLOCK_NEVER;
	uint64_t seconds;
	int c;

	while ((c = getopt_long(argc, argv, "h", wait_options, NULL)) != -1) {
		switch (c) {
		case 'T':
			if (command_parse_number(optarg, 0, UINT_MAX, &seconds) < 0)
				return command_misuse(&wait_command,
				    "--timeout: '%s' is no number of seconds", optarg);
			deadline = clock_mono_ms() + seconds * WAIT_MS_PER_S;
			break;
		case 'h':
			return command_help(&wait_command);
		default:
			return command_misuse(&wait_command, NULL);
		}
	}
	if (optind < argc)
		return command_misuse(&wait_command, "it takes no arguments");
	return wait_until(deadline);
}

const struct command wait_command = {
	.name = "wait",
	.summary = "wait until the agent answers",
	.help = wait_help,
	.run = wait_run,
};
