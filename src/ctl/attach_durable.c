/*
 * attach_durable: a session that goes on when its connection ends: how it is come back to,
 * and how it is left.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "ctl/attach_loop.h"
#include "ctl/durable_text.h"
#include "ctl/quantity.h"
#include "ctl/target.h"
#include "ctl/terminal.h"
#include "platform/clock.h"

/* Why the agent let go of a reader, if coming back helps. */
#define ATTACH_WORKER_LOST "worker lost"

void
attach_durable_begin(struct attach *attach)
{
	const struct attach_durable *durable = attach->options->durable;

	attach->awaits_attached = durable->is_asked_for;
	attach->reconnect.seconds = durable->reconnect_seconds;
	reconnect_rest(&attach->reconnect, 0, clock_mono_ms());
	attach->eof_is_due = false;
	attach->session->input.has_eof = !attach->stdin_is_open && !durable->keeps_stdin;
	/* Until it is known what the program has for a terminal, nothing is read for it. */
	if (attach->awaits_attached)
		attach->stdin_is_open = false;
}

void
attach_durable_done(struct attach *attach)
{
	if (attach->result->end != ATTACH_EXITED && attach->tty && terminal_is_raw())
		terminal_leave_screen();
	resend_done(&attach->session->input);
}

/* ---- leaving ------------------------------------------------------------ */

void
attach_durable_leave(struct attach *attach)
{
	attach->stdin_is_open = false;
	if (attach->client->fd < 0 || attach->awaits_attached || !attach->agent_listens) {
		attach_end(attach, ATTACH_LEFT, 0);
		return;
	}
	attach->detach_is_due = true;
	attach->leave_ms = clock_mono_ms() + ATTACH_LEAVE_MS;
}

/* All that is old was shown: now what is typed is for the program. */
static void
attach_durable_end_replay(struct attach *attach)
{
	if (!replay_end(&attach->replay, clock_mono_ms())) {
		attach_type_held(attach);
		return;
	}
	attach->piece = (struct client_piece){ .type = VMM_GUEST_STDOUT,
		.data = (const uint8_t *)REPLAY_FENCE,
		.len = sizeof(REPLAY_FENCE) - 1 };
	attach->piece_output = &attach->outputs[0];
}

void
attach_durable_shown(struct attach *attach)
{
	const struct attach_durable *durable = attach->options->durable;
	uint64_t offset = attach->session->offset;

	if (!attach->session->is_attached || attach->piece.len > 0)
		return;
	if (offset >= durable->stop_at)
		attach_end(attach, ATTACH_LEFT, 0);
	else if (attach->replay.state == REPLAY_SHOWS && offset >= durable->old_until)
		attach_durable_end_replay(attach);
}

/* ---- coming back -------------------------------------------------------- */

/* What makes no difference the next time. */
static bool
attach_durable_is_final(int error)
{
	return error == -EMSGSIZE || error == -EBADMSG || error == -ENOMEM || error == -ENOBUFS;
}

static void
attach_durable_say_lost(const struct attach *attach)
{
	char which[DURABLE_TEXT_WHICH_MAX];
	char keys[KEYS_TEXT_MAX];

	keys_format_detach(&attach->keys, keys);
	durable_text_say("the connection was lost; coming back to %s, for %u s at most%s%s%s",
	    durable_text_which(attach->session, which), attach->reconnect.seconds,
	    keys[0] != '\0' ? " (" : "", keys, keys[0] != '\0' ? " leaves it)" : "");
}

bool
attach_durable_lose(struct attach *attach, int error)
{
	char which[DURABLE_TEXT_WHICH_MAX];

	(void)durable_text_which(attach->session, which);
	if (attach->leave_ms != CLOCK_NEVER) {
		attach_end(attach, ATTACH_LEFT, 0);
		return true;
	}
	if (attach_durable_is_final(error) ||
	    (attach->awaits_attached && !attach->session->is_known))
		return false;
	client_close(attach->client);
	outbox_clear(&attach->outbox);
	attach->agent_listens = false;
	attach->awaits_attached = false;
	durable_part(attach->session);
	if (!attach->session->is_known)
		client_fail(&attach->result->error,
		    "the connection was lost before the agent said that session %s has started; "
		    "'vmm-guest-ctl sessions' shows whether it has",
		    which);
	else if (attach->reconnect.seconds == 0)
		client_fail(&attach->result->error,
		    "the connection was lost; session %s goes on, and 'vmm-guest-ctl attach' comes "
		    "back to it",
		    which);
	if (attach->result->error.text[0] != '\0')
		attach_end(attach, ATTACH_LOST, 0);
	else if (reconnect_begin(&attach->reconnect, clock_mono_ms()))
		attach_durable_say_lost(attach);
	return true;
}

static void
attach_durable_give_up(struct attach *attach)
{
	char which[DURABLE_TEXT_WHICH_MAX];

	client_fail(&attach->result->error, "could not come back to session %s within %u s: %s",
	    durable_text_which(attach->session, which), attach->reconnect.seconds,
	    attach->reconnect.error.text[0] != '\0' ? attach->reconnect.error.text
						    : "the agent did not answer");
	attach_end(attach, ATTACH_LOST, 0);
}

static void
attach_durable_try(struct attach *attach, uint64_t now)
{
	if (reconnect_is_over(&attach->reconnect, now)) {
		attach_durable_give_up(attach);
	} else if (now >= attach->reconnect.answer_ms) {
		attach_lose(attach, -ETIMEDOUT);
	} else if (now >= attach->reconnect.try_ms &&
		   reconnect_try(&attach->reconnect, attach->client, attach->session) == 0) {
		attach->agent_listens = true;
		attach->awaits_attached = true;
	}
}

/* ATTACH was refused. */
static void
attach_durable_refused(struct attach *attach)
{
	enum durable_refusal refusal = durable_read_refusal(attach->session);
	bool may_come_back = attach->session->is_known;

	if ((refusal == DURABLE_BUSY || refusal == DURABLE_BEYOND) && may_come_back) {
		client_fail(&attach->reconnect.error, "%s", attach->session->words);
		attach_lose(attach, -ECONNREFUSED);
		return;
	}
	durable_text_refusal(attach->session, refusal, &attach->result->error);
	attach_end(attach, ATTACH_LOST, 0);
}

uint64_t
attach_durable_due_ms(const struct attach *attach)
{
	return clock_sooner(clock_sooner(attach->keys.due_ms, attach->leave_ms),
	    clock_sooner(attach->replay.due_ms, reconnect_due_ms(&attach->reconnect)));
}

void
attach_durable_act(struct attach *attach)
{
	uint64_t now = clock_mono_ms();

	if (now >= attach->keys.due_ms)
		attach_take_late_keys(attach);
	if (now >= attach->replay.due_ms)
		attach_type_held(attach);
	if (now >= attach->leave_ms)
		attach_end(attach, ATTACH_LEFT, 0);
	else if (!attach->is_over && now >= reconnect_due_ms(&attach->reconnect))
		attach_durable_try(attach, now);
}

/* ---- what the agent tells ----------------------------------------------- */

/* The first time that the session is there: how it is left. */
static void
attach_durable_welcome(struct attach *attach)
{
	const struct attach_durable *durable = attach->options->durable;
	const struct durable *session = attach->session;
	char which[DURABLE_TEXT_WHICH_MAX];
	char keys[KEYS_TEXT_MAX];

	if (attach->tty && session->wants_input && isatty(STDIN_FILENO)) {
		attach->keys = durable->keys;
		attach_use_terminal(attach);
		if (durable->is_asked_for && session->offset < durable->old_until)
			replay_begin(&attach->replay);
	}
	if (durable->is_asked_for && session->wants_input)
		attach->stdin_is_open = attach->options->forward_stdin;
	if (durable->only_shows || durable->leaves_at_once || !isatty(STDERR_FILENO))
		return;
	(void)durable_text_which(session, which);
	keys_format_detach(&attach->keys, keys);
	if (keys[0] != '\0')
		durable_text_say("session %s: %s leaves it, and it goes on", which, keys);
	else if (!attach->tty)
		durable_text_say("session %s: Ctrl-C%s leaves it, and it goes on", which,
		    session->wants_input ? " twice" : "");
}

/* Returns whether the input goes on where the agent has it. */
static bool
attach_durable_rewind(struct attach *attach, const struct report *report)
{
	struct resend *input = &attach->session->input;
	char missing_text[QUANTITY_MAX];
	uint64_t missing;

	if (!report->stdin_open) {
		attach->stdin_is_open = false;
		attach->session->stdin_closed = true;
		return true;
	}
	if (resend_rewind(input, report->stdin_bytes, &missing) < 0) {
		quantity_format_bytes(missing_text, missing);
		client_fail(&attach->result->error, "%s of the input were lost with the connection",
		    missing_text);
		attach_end(attach, ATTACH_LOST, 0);
		return false;
	}
	/* A terminal has taken it for a key: one that was typed is not typed again. */
	if (!report->tty)
		input->eof_is_sent = false;
	return true;
}

static void
attach_durable_attached(struct attach *attach, const struct report *report, bool was_known)
{
	attach->awaits_attached = false;
	attach->tty = report->tty;
	attach->resize_is_due = report->tty && attach->session->holds;
	reconnect_rest(&attach->reconnect, report->offset + report->stdin_bytes, clock_mono_ms());
	if (!was_known)
		attach_durable_welcome(attach);
	if (attach_durable_rewind(attach, report))
		attach_durable_shown(attach);
}

static void
attach_durable_say_missing(uint64_t lost)
{
	char text[QUANTITY_MAX];

	quantity_format_bytes(text, lost);
	durable_text_say("%s of the output before this are no longer there", text);
}

static void
attach_durable_detached(struct attach *attach, const struct report *report)
{
	char which[DURABLE_TEXT_WHICH_MAX];

	if (attach->leave_ms != CLOCK_NEVER) {
		attach_end(attach, ATTACH_LEFT, 0);
	} else if (report->why == NULL || report->why[0] == '\0' ||
		   strcmp(report->why, ATTACH_WORKER_LOST) == 0) {
		attach_lose(attach, -ENODATA);
	} else {
		client_fail(&attach->result->error, "the agent let go of session %s: %s",
		    durable_text_which(attach->session, which), report->why);
		attach_end(attach, ATTACH_LOST, 0);
	}
}

static void
attach_durable_input_taken(struct attach *attach)
{
	char which[DURABLE_TEXT_WHICH_MAX];

	attach->session->holds = false;
	attach->session->wants_input = false;
	if (!terminal_is_raw())
		attach->stdin_is_open = false;
	durable_text_say("another host has taken the input of session %s; its output goes on here",
	    durable_text_which(attach->session, which));
}

static void
attach_durable_take_status(struct attach *attach, const struct client_piece *piece)
{
	bool was_known = attach->session->is_known;
	struct report CLEANUP_REPORT report = { 0 };
	struct json_error error = { 0 };
	uint64_t lost;

	if (!piece->first || !piece->last ||
	    report_parse((const char *)piece->data, piece->len, &report, &error) < 0)
		return;
	lost = durable_take_report(attach->session, &report);
	if (report.event == REPORT_STARTED && !was_known && attach->session->is_known)
		attach_durable_welcome(attach);
	else if (report.event == REPORT_ATTACHED)
		attach_durable_attached(attach, &report, was_known);
	else if (report.event == REPORT_INPUT_TAKEN)
		attach_durable_input_taken(attach);
	else if (report.event == REPORT_DETACHED)
		attach_durable_detached(attach, &report);
	if (lost > 0 && !attach->is_over)
		attach_durable_say_missing(lost);
	if (report.event == REPORT_STARTED && attach->options->durable->leaves_at_once)
		attach_durable_leave(attach);
}

bool
attach_durable_take(struct attach *attach, struct client_piece *piece)
{
	size_t skipped;

	switch (piece->type) {
	case VMM_GUEST_STDOUT:
	case VMM_GUEST_STDERR:
		if (attach->awaits_attached) {
			durable_take_words(attach->session, piece->data, piece->len);
			return false;
		}
		if (!attach->session->is_known)
			return true;
		if (attach->options->durable->leaves_at_once)
			return false;
		skipped = durable_count_output(attach->session, piece->len);
		piece->data += skipped;
		piece->len -= skipped;
		if (attach->replay.state == REPLAY_SHOWS)
			replay_look(&attach->replay, piece->data, piece->len);
		return true;
	case VMM_GUEST_STATUS:
		attach_durable_take_status(attach, piece);
		/* Where the connection was given up for it, that was all it says. */
		return attach->client->fd >= 0;
	case VMM_GUEST_EXIT:
		if (!attach->awaits_attached)
			return true;
		attach_durable_refused(attach);
		return false;
	default:
		return true;
	}
}

bool
attach_durable_put(struct attach *attach)
{
	struct durable *session = attach->session;
	uint64_t shown = session->offset - attach->piece.len - attach->words.len;

	if (session->holds && shown >= session->ack_due) {
		frame_output_ack_format(outbox_payload(&attach->outbox), shown);
		outbox_put(&attach->outbox, attach->client, VMM_GUEST_OUTPUT_ACK,
		    VMM_GUEST_OUTPUT_ACK_LEN);
		session->ack_due = shown + DURABLE_ACK_EVERY;
		return true;
	}
	if (attach_put_input(attach))
		return true;
	if (!attach->detach_is_due)
		return false;
	attach->detach_is_due = false;
	outbox_put(&attach->outbox, attach->client, VMM_GUEST_DETACH, 0);
	return true;
}
