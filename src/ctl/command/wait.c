/*
 * wait: "vmm-guest-ctl wait": until the agent answers.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <poll.h>
#include <stdbool.h>

#include "ctl/command.h"
#include "ctl/core/control.h"
#include "ctl/quantity.h"
#include "ctl/target.h"
#include "platform/backoff.h"
#include "platform/clock.h"

#define WAIT_PAUSE_FIRST_MS 10
#define WAIT_PAUSE_MAX_MS 250

/* A name that is misspelt, or a module that is missing, is waited for in vain: after
 * this time it says once what it waits for. */
#define WAIT_TELL_MS 5000

/* For one try: a VMM may take a connection and leave it unanswered for ever; and
 * the last one has to have a chance. */
#define WAIT_TRY_MAX_MS 5000
#define WAIT_TRY_MIN_MS 250

static uint64_t wait_deadline_ms = CLOCK_NEVER;

static int
wait_take_timeout(const struct options_row *row, char *text)
{
	uint64_t ms;
	int r = quantity_parse_ms(text, &ms);

	(void)row;
	if (r == 0)
		wait_deadline_ms = clock_mono_ms() + ms;
	return r;
}

static const struct options_row wait_options[] = {
	OPTIONS_CALL("timeout", 0, "S", wait_take_timeout, NULL, OPTIONS_OF_SECONDS,
	    "give up after S seconds (default: never)"),
	OPTIONS_END,
};

/* An agent of the first day knows no STATUS_REQ: a refusal, or a close after the
 * handshake, is an answer too. */
static int
wait_try(struct client_error *error)
{
	struct control_answer CLEANUP_ANSWER answer = { 0 };
	int left = clock_poll_timeout(clock_mono_ms(), wait_deadline_ms);
	int r;

	if (left < 0 || left > WAIT_TRY_MAX_MS)
		left = WAIT_TRY_MAX_MS;
	if (left < WAIT_TRY_MIN_MS)
		left = WAIT_TRY_MIN_MS;
	r = control_ask(target_agent(), "STATUS_REQ", NULL, left, &answer, error);
	return r == -ENODATA ? 0 : r;
}

static int
wait_run(int count, char **operands)
{
	struct client_error error = { "" };
	uint64_t tell_ms = clock_mono_ms() + WAIT_TELL_MS;
	struct backoff pause = { 0 };
	int answer_ms = target_agent()->answer_ms;
	int r;

	(void)count;
	(void)operands;
	if (answer_ms > 0)
		wait_deadline_ms =
		    clock_sooner(wait_deadline_ms, clock_mono_ms() + (uint64_t)answer_ms);
	while ((r = wait_try(&error)) < 0) {
		int left = clock_poll_timeout(clock_mono_ms(), wait_deadline_ms);
		int pause_ms;

		if (r == -EINVAL)
			return command_fail("%s", error.text);
		if (left == 0)
			return command_fail("the time is up: %s", error.text);
		if (clock_mono_ms() >= tell_ms) {
			(void)command_fail("waiting: %s", error.text);
			tell_ms = CLOCK_NEVER;
		}
		pause_ms = (int)backoff_next_ms(&pause, WAIT_PAUSE_FIRST_MS, WAIT_PAUSE_MAX_MS);
		(void)poll(NULL, 0, left > 0 && left < pause_ms ? left : pause_ms);
	}
	return 0;
}

const struct command wait_command = {
	.name = "wait",
	.summary = "wait until the agent answers",
	.usage = "[--timeout S]",
	.about =
	    "Waits until the agent answers: the VM has booted, and programs can be run. After\n"
	    "5 s it says once what stands in the way.\n",
	.more = "\nExit status: 0 when it has answered, 1 when the time was up; the message says\n"
		"what went wrong in the last try.\n",
	.options = wait_options,
	.run = wait_run,
};
