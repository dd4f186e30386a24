/*
 * answer_exec: what the frames of port 52 mean.
 *
 * The one hard question is whose an EXIT is: a program's own 125, or the agent's, which could
 * not serve the request and says why on STDERR. A program that runs has STATUS `started` before
 * it, as this host asks for reports; an agent that is too old for those sends none, and there
 * words that are followed by anything but EXIT were a program's.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <string.h>

#include "client/errno_name.h"
#include "client/handle.h"
#include "platform/clock.h"
#include "protocol/quiesce_status.h"
#include "protocol/report.h"
#include "protocol/restored_request.h"

#define ANSWER_WORDS_MAX 4096

/* After this time words are a program's of an agent that reports nothing. */
#define ANSWER_WORDS_MS 1000

#define ANSWER_LOST "worker lost"

void
answer_keep(struct vmm_guest *guest, struct piece *piece)
{
	struct buffer old = guest->answer;

	guest->answer = guest->text;
	guest->text = old;
	guest->text.len = 0;
	piece->data = (const uint8_t *)guest->answer.data;
	piece->len = guest->answer.len;
}

/* Whether PIECE, the first of a frame, begins with FRONT. */
static bool
answer_exec_begins(const struct piece *piece, const char *front)
{
	return piece->len >= strlen(front) && memcmp(piece->data, front, strlen(front)) == 0;
}

/* ---- EXIT ------------------------------------------------------------------ */

/* The words that the agent has said, without the last newline; "" where it said none. */
static const char *
answer_exec_words(struct vmm_guest *guest)
{
	struct buffer *words = &guest->words;

	if (words->len == 0)
		return "";
	while (words->len > 0 && words->data[words->len - 1] == '\n')
		words->data[--words->len] = '\0';
	return words->data;
}

/* What an EXIT of the agent's own comes to, as -errno. */
static int
answer_exec_error(const struct operation *operation, const char *words, int32_t code)
{
	int error = errno_name_parse_refusal(words);

	if (error != 0)
		return -error;
	if (strncmp(words, ANSWER_LOST, strlen(ANSWER_LOST)) == 0)
		return -EIO;
	if (strncmp(words, "bad ", strlen("bad ")) == 0)
		return -EINVAL;
	if (code == VMM_GUEST_EXIT_NOT_MADE && operation->no != 0)
		return -operation->no;
	if (operation->kind != OPERATION_PROGRAM)
		return -EREMOTEIO;
	if (code == VMM_GUEST_EXIT_NOT_FOUND)
		return -ENOENT;
	return code == VMM_GUEST_EXIT_CANNOT_RUN ? -EACCES : -EREMOTEIO;
}

/* Why a request failed that has answered with a STATUS: the first error in it, in WORDS. */
static void
answer_exec_status_words(const struct vmm_guest *guest, char words[HANDLE_ERROR_MAX])
{
	const char *json = guest->answer.data;
	size_t len = guest->answer.len;
	struct json_error error;

	words[0] = '\0';
	/* Reading it takes many times its length. */
	if (len == 0 || len > VMM_GUEST_JSON_MAX)
		return;
	if (guest->operation->type == VMM_GUEST_RESTORED) {
		struct restored_status status;

		if (restored_status_parse(json, len, &status, &error) == 0 &&
		    status.errors_count > 0)
			(void)strlcpy(words, status.errors[0], HANDLE_ERROR_MAX);
	} else if (guest->operation->type == VMM_GUEST_QUIESCE) {
		struct quiesce_status status;

		if (quiesce_status_parse(json, len, &status, &error) == 0) {
			if (status.error != NULL)
				(void)strlcpy(words, status.error, HANDLE_ERROR_MAX);
			quiesce_status_done(&status);
		}
	}
}

static void
answer_exec_refused(struct vmm_guest *guest, int32_t code)
{
	const char *name = guest->operation->name;
	char words[HANDLE_ERROR_MAX];

	(void)strlcpy(words, answer_exec_words(guest), sizeof(words));
	if (words[0] != '\0') {
		int r = answer_exec_error(guest->operation, words, code);

		if (!answer_durable_is_there(guest, r))
			handle_end_refused(guest, r, words);
		return;
	}
	if (guest->operation->kind == OPERATION_CONTROL)
		answer_exec_status_words(guest, words);
	if (words[0] != '\0')
		handle_end_failed(
		    guest, answer_exec_error(guest->operation, words, code), "%s", words);
	else if (guest->operation->kind == OPERATION_PROGRAM)
		handle_end_failed(guest, -EIO,
		    "the agent could not serve %s, and said no more than %d", name, code);
	else
		handle_end_failed(guest, answer_exec_error(guest->operation, "", code),
		    "%s: the agent says that it did not succeed (%d)", name, code);
}

static bool
answer_exec_says_lost(const struct vmm_guest *guest)
{
	return guest->words.len > 0 &&
	       strncmp(guest->words.data, ANSWER_LOST, strlen(ANSWER_LOST)) == 0;
}

/* Whether an EXIT that is no program's is the agent's. */
static bool
answer_exec_is_agents(const struct vmm_guest *guest, const struct frame_exit *end)
{
	bool is_own_code = end->code >= VMM_GUEST_EXIT_AGENT &&
			   end->code <= VMM_GUEST_EXIT_NOT_FOUND && end->signal == 0;

	if (guest->operation->kind == OPERATION_CONTROL)
		return end->code != 0;
	if (guest->operation->kind == OPERATION_RELAY)
		return end->code != 0;
	if (end->code < 0)
		return true;
	if (guest->has_begun)
		return !guest->has_exited && end->code == VMM_GUEST_EXIT_AGENT &&
		       answer_exec_says_lost(guest);
	return is_own_code;
}

/* The program has ended, and what it said last was held. */
static enum vmm_guest_event
answer_exec_ended(struct vmm_guest *guest, struct piece *piece)
{
	struct buffer words = guest->words;

	guest->words = guest->text;
	guest->text = words;
	handle_end(guest, VMM_GUEST_EVENT_END, guest->exit.code);
	if (words.len == 0 || guest->operation->kind != OPERATION_PROGRAM)
		return VMM_GUEST_EVENT_NONE;
	piece->data = (const uint8_t *)words.data;
	piece->len = words.len;
	return VMM_GUEST_EVENT_STDERR;
}

static enum vmm_guest_event
answer_exec_exit(struct vmm_guest *guest, struct piece *piece)
{
	const struct frame_exit *end = &guest->exit;
	enum vmm_guest_event event = VMM_GUEST_EVENT_NONE;

	if (frame_exit_parse(piece->data, piece->len, &guest->exit) < 0) {
		handle_end_failed(guest, -EPROTO, HANDLE_NO_AGENT);
		return VMM_GUEST_EVENT_NONE;
	}
	if (guest->awaits_attached)
		answer_durable_refused(guest);
	else if (answer_exec_is_agents(guest, end))
		answer_exec_refused(guest, end->code);
	else
		event = answer_exec_ended(guest, piece);
	/* Or another connection is made. */
	guest->has_exit = !handle_is_busy(guest);
	return event;
}

/* ---- STATUS ---------------------------------------------------------------- */

/* Which event it is. The agent writes it first: then the rest need not be read for that. */
static enum report_event
answer_exec_event(const struct piece *piece)
{
	struct report CLEANUP_REPORT report = { 0 };
	struct json_error error;

	if (answer_exec_begins(piece, "{\"event\":\"started\","))
		return REPORT_STARTED;
	if (answer_exec_begins(piece, "{\"event\":\"exited\","))
		return REPORT_EXITED;
	if (report_parse((const char *)piece->data, piece->len, &report, &error) < 0)
		return REPORT_OTHER;
	return report.event;
}

static void
answer_exec_look(struct vmm_guest *guest, const struct piece *piece)
{
	enum report_event event = answer_exec_event(piece);

	if (event == REPORT_STARTED)
		guest->has_begun = true;
	else if (event == REPORT_EXITED)
		guest->has_exited = true;
}

static enum vmm_guest_event
answer_exec_status(struct vmm_guest *guest, struct piece *piece)
{
	guest->is_answered = true;
	answer_keep(guest, piece);
	if (guest->operation->kind == OPERATION_RELAY)
		guest->has_begun = true;
	if (guest->operation->kind != OPERATION_PROGRAM)
		return VMM_GUEST_EVENT_STATUS;
	answer_exec_look(guest, piece);
	if (guest->is_durable && !answer_durable_take(guest, piece))
		return VMM_GUEST_EVENT_NONE;
	return VMM_GUEST_EVENT_STATUS;
}

/* ---- output ---------------------------------------------------------------- */

/* Whether STDERR is the agent's own words, or may be: of a program that runs, that its worker was
 * lost. */
static bool
answer_exec_holds(const struct vmm_guest *guest, const struct piece *piece)
{
	return guest->operation->kind != OPERATION_PROGRAM || !guest->has_begun ||
	       answer_exec_begins(piece, ANSWER_LOST ": ");
}

/* Keeps what may be the agent's words. Those on a program are one frame, and nothing but EXIT is
 * behind it. Returns whether it does. */
static bool
answer_exec_hold(struct vmm_guest *guest, const struct piece *piece)
{
	bool is_program = guest->operation->kind == OPERATION_PROGRAM;

	if (piece->len == 0 || (is_program && !(piece->is_first && piece->is_last)) ||
	    buffer_add(&guest->words, piece->data, piece->len, ANSWER_WORDS_MAX) < 0)
		return false;
	if (is_program)
		guest->words_ms = clock_mono_ms() + ANSWER_WORDS_MS;
	return true;
}

static enum vmm_guest_event
answer_exec_output(struct vmm_guest *guest, struct piece *piece)
{
	bool is_error = piece->type == VMM_GUEST_STDERR;

	if (guest->awaits_attached) {
		durable_take_words(&guest->session, piece->data, piece->len);
		return VMM_GUEST_EVENT_NONE;
	}
	if (is_error && answer_exec_holds(guest, piece) && answer_exec_hold(guest, piece))
		return VMM_GUEST_EVENT_NONE;
	guest->is_answered = true;
	guest->has_begun = true;
	if (guest->is_durable && !answer_durable_take(guest, piece))
		return VMM_GUEST_EVENT_NONE;
	if (is_error)
		return piece->len > 0 ? VMM_GUEST_EVENT_STDERR : VMM_GUEST_EVENT_NONE;
	/* Of CONNECT none at all is the end of what its peer says. */
	if (piece->len == 0 && guest->operation->kind != OPERATION_RELAY)
		return VMM_GUEST_EVENT_NONE;
	return VMM_GUEST_EVENT_STDOUT;
}

bool
answer_exec_words_are_due(const struct vmm_guest *guest)
{
	struct frame_header next;

	if (guest->words.len == 0 || guest->operation->kind != OPERATION_PROGRAM)
		return false;
	if (guest->reader.payload_left > 0)
		return guest->frame.type != VMM_GUEST_EXIT;
	/* Nothing comes any more. Of a session that goes on they come again. */
	if (frame_reader_look(&guest->reader, &next) < 0)
		return guest->has_ended && !guest->session.is_known;
	return next.type != VMM_GUEST_EXIT;
}

enum vmm_guest_event
answer_exec_take(struct vmm_guest *guest, struct piece *piece)
{
	switch (piece->type) {
	case VMM_GUEST_STDOUT:
	case VMM_GUEST_STDERR:
		return answer_exec_output(guest, piece);
	case VMM_GUEST_STATUS:
		return answer_exec_status(guest, piece);
	case VMM_GUEST_EXIT:
		return answer_exec_exit(guest, piece);
	default:
		return VMM_GUEST_EVENT_NONE;
	}
}
