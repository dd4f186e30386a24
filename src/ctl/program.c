/*
 * program: START and ATTACH, and what the end of attach_run() means as an exit status.
 *
 * SPDX-License-Identifier: MIT
 */
#include "ctl/program.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl/command.h"
#include "ctl/core/control.h"
#include "ctl/core/guest_features.h"
#include "ctl/durable_text.h"
#include "ctl/program_report.h"
#include "ctl/signal_name.h"
#include "ctl/signals.h"
#include "ctl/target.h"
#include "ctl/terminal.h"
#include "protocol/utf8.h"

#define PROGRAM_STATUS_MASK 0xff
#define PROGRAM_MS_PER_S 1000

/* How long a durable session's end may take to be forgotten; it would be at some time. */
#define PROGRAM_FORGET_MS 3000

int
program_check(const struct start_request *request)
{
	bool valid = utf8_is_valid(request->working_dir) && utf8_is_valid(request->user);

	for (size_t i = 0; i < request->argc; i++)
		valid = valid && utf8_is_valid(request->argv[i]);
	for (size_t i = 0; i < request->env_count; i++)
		valid = valid && utf8_is_valid(request->env[i].name) &&
			utf8_is_valid(request->env[i].value);
	return valid ? 0 : -EILSEQ;
}

static int
program_fail(const struct client_error *error)
{
	(void)command_fail("%s", error->text);
	return VMM_GUEST_EXIT_AGENT;
}

/* An agent that does not know the members would run it as one that ends with us. */
static int
program_check_agent(const struct start_request *request, struct client_error *error)
{
	int r = 1;

	if (request->is_durable)
		r = guest_features_have(target_agent(), GUEST_FEATURES_DURABLE, error);
	if (r == 0) {
		client_fail(error, "the agent is too old for durable sessions");
		return -EOPNOTSUPP;
	}
	return r < 0 ? r : 0;
}

/* The JSON of the START; NULL, with ERROR filled in: there is none. */
static char *
program_format_start(const struct start_request *request, struct client_error *error)
{
	struct start_request asked = *request;
	size_t len;
	char *json;

	if (program_check(request) < 0) {
		client_fail(error, "the command line has to be UTF-8");
		return NULL;
	}
	if (program_check_agent(request, error) < 0)
		return NULL;
	/* A program that says nothing is not an agent that doesn't: a report tells them apart. */
	asked.report = asked.report || !asked.is_durable;
	json = start_format(&asked, &len);
	if (json == NULL)
		client_fail(error, "out of memory");
	return json;
}

/* The same of the ATTACH. */
static char *
program_format_attach(const struct attach_durable *durable, struct client_error *error)
{
	struct attach_request request = session_id_request(&durable->id);
	size_t len;
	char *json;

	request.input = durable->takes_input;
	request.report = durable->wants_report;
	request.has_tail = durable->has_tail;
	request.tail = durable->tail;
	json = attach_request_format(VMM_GUEST_ATTACH, &request, &len);
	if (json == NULL)
		client_fail(error, "out of memory");
	return json;
}

/* Begins it, on GUEST for guest_close(). Returns 0, or -errno with ERROR filled in. */
static int
program_begin(struct guest *guest, const struct attach_options *options, const char *json,
    struct client_error *error)
{
	const struct attach_durable *durable = options->durable;
	uint64_t reconnect_ms = 0;
	int r = guest_open(guest, target_agent(), error);

	if (r < 0)
		return r;
	if (durable != NULL)
		reconnect_ms = (uint64_t)durable->reconnect_seconds * PROGRAM_MS_PER_S;
	(void)vmm_guest_set(guest->handle, "report", 0);
	(void)vmm_guest_set(guest->handle, "own_name", durable != NULL && durable->owns_name);
	(void)vmm_guest_set(guest->handle, "reconnect_ms",
	    (int64_t)(reconnect_ms < INT_MAX ? reconnect_ms : INT_MAX));
	return guest_begin(
	    guest, durable != NULL && durable->is_asked_for ? "ATTACH" : "START", json, error);
}

/* What no program can end with must not become 0, or the end of another. */
static int
program_status(const struct frame_exit *end)
{
	struct client_error error;

	if (end->signal > 0 && end->signal <= SIGNAL_NAME_LAST)
		return VMM_GUEST_EXIT_SIGNAL_BASE + end->signal;
	/* Agents of the first day say -1 for an end by a signal. */
	if (end->signal == 0 && end->code >= -1 && end->code <= PROGRAM_STATUS_MASK)
		return end->code & PROGRAM_STATUS_MASK;
	client_fail(&error, "the agent at %s tells an end that no program has: code %d, signal %d",
	    target_agent()->address, end->code, end->signal);
	return program_fail(&error);
}

static void
program_say_left(const struct attach_durable *durable)
{
	char which[DURABLE_TEXT_WHICH_MAX];

	(void)durable_text_which(&durable->id, which);
	if (!durable->is_known && !durable->is_asked_for)
		durable_text_say("session %s may have started; '" COMMAND_PROGRAM
				 " sessions' shows whether it has",
		    which);
	else if (durable->is_known && !durable->only_shows && !durable->leaves_at_once)
		durable_text_say(
		    "session %s goes on; '" COMMAND_PROGRAM " attach' comes back to it", which);
}

void
program_forget(const struct session_id *id)
{
	struct control_answer CLEANUP_ANSWER answer = { 0 };
	const struct attach_request request = session_id_request(id);
	struct client_error ignored;
	size_t len;
	char *json = attach_request_format(VMM_GUEST_FORGET, &request, &len);

	if (json != NULL)
		(void)control_ask(
		    target_agent(), "FORGET", json, PROGRAM_FORGET_MS, &answer, &ignored);
	free(json);
}

static int
program_signaled(const struct attach_options *options, struct attach_result *result)
{
	if (options->durable != NULL)
		program_say_left(options->durable);
	if (result->signal != 0)
		signals_die(result->signal);
	client_fail(&result->error, "left by Ctrl-], the agent ends the program");
	return program_fail(&result->error);
}

static int
program_exited(const struct attach_options *options, const struct attach_result *result)
{
	const struct attach_durable *durable = options->durable;

	if (durable != NULL && durable->is_known &&
	    (durable->leaves_at_once || durable->only_shows))
		return 0;
	/* Where its worker was lost, what it had written may not have come whole: it is kept. */
	if (durable != NULL && durable->is_known && durable->forgets &&
	    result->exit.code != VMM_GUEST_EXIT_AGENT)
		program_forget(&durable->id);
	/* A shell that runs us in a loop has to see that Ctrl-C ended us. */
	if (result->exit.signal == SIGINT && result->signal == SIGINT)
		signals_die(SIGINT);
	return program_status(&result->exit);
}

static int
program_lose(const struct attach_options *options, const struct attach_result *result)
{
	int status = program_fail(&result->error);

	return options->durable != NULL && options->durable->only_shows ? COMMAND_FAILED : status;
}

/* What comes of the session that is asked for by JSON. */
static int
program_follow(const char *json, const struct attach_options *options, struct attach_result *result)
{
	struct guest CLEANUP_GUEST guest = { 0 };

	if (program_begin(&guest, options, json, &result->error) < 0)
		return program_lose(options, result);
	attach_run(&guest, options, result);
	/* What follows may be long, as the end of us by a signal. */
	guest_close(&guest);
	switch (result->end) {
	case ATTACH_LOST:
		return program_lose(options, result);
	case ATTACH_SIGNALED:
		return program_signaled(options, result);
	case ATTACH_LEFT:
		program_say_left(options->durable);
		return 0;
	case ATTACH_EXITED:
		break;
	}
	return program_exited(options, result);
}

/* Where nobody else keeps the reports, the reason of an end is taken from them. */
static int
program_finish(const char *json, const struct attach_options *options, struct attach_result *result)
{
	struct attach_options own = *options;
	struct program_report report = { 0 };
	int status;

	if (json == NULL)
		return program_lose(options, result);
	if (options->report != NULL)
		return program_follow(json, options, result);
	program_keep_report(&own, &report);
	status = program_follow(json, &own, result);
	program_say_reason(&report);
	return status;
}

/* Who knows ssh puts all of a command into quotes. */
static void
program_say_quoted(const struct start_request *request)
{
	if (request->argc == 1 && strchr(request->argv[0], ' ') != NULL)
		(void)command_fail("no shell takes it apart: leave the quotes out, or say "
				   "'sh -c' in front of it");
}

int
program_run(const struct start_request *request, const struct attach_options *options)
{
	struct attach_result result = { 0 };
	char *json = program_format_start(request, &result.error);
	int status = program_finish(json, options, &result);

	free(json);
	if (status == VMM_GUEST_EXIT_NOT_FOUND)
		program_say_quoted(request);
	return status;
}

int
program_attach(const struct attach_options *options)
{
	struct attach_result result = { 0 };
	char *json = program_format_attach(options->durable, &result.error);
	int status = program_finish(json, options, &result);

	free(json);
	return status;
}

void
program_use_durable(struct start_request *request, struct attach_options *attach,
    struct attach_durable *durable, const char *name)
{
	request->is_durable = true;
	request->name = name;
	(void)strlcpy(durable->id.name, name, sizeof(durable->id.name));
	durable->takes_input = true;
	/* What is left at once is not waited for: whoever comes to it hears how it ended. */
	request->report = request->report || !durable->leaves_at_once;
	durable->wants_report = request->report;
	attach->durable = durable;
}

static bool
program_has_env(const struct start_request *request, const char *name)
{
	for (size_t i = 0; i < request->env_count; i++) {
		if (strcmp(request->env[i].name, name) == 0)
			return true;
	}
	return false;
}

void
program_use_terminal(struct start_request *request, struct attach_options *attach)
{
	const char *term = getenv("TERM");
	struct frame_resize size = { .columns = START_TTY_WIDTH, .rows = START_TTY_HEIGHT };

	request->tty = true;
	attach->tty = true;
	(void)terminal_get_size(&size);
	request->tty_width = size.columns;
	request->tty_height = size.rows;
	if (!isatty(STDIN_FILENO))
		return;
	attach->forward_stdin = true;
	if (term != NULL && term[0] != '\0' && !program_has_env(request, "TERM"))
		request->env[request->env_count++] =
		    (struct start_env){ .name = "TERM", .value = term };
}
