/*
 * attach_durable: a session that goes on when its connection ends: what is told of how the library
 * comes back to it, and how it is left.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "ctl/attach_loop.h"
#include "ctl/durable_text.h"
#include "ctl/quantity.h"
#include "ctl/terminal.h"
#include "platform/clock.h"
#include "protocol/report.h"

/* Why the agent let go of a reader, if coming back helps. */
#define ATTACH_WORKER_LOST "worker lost"

void
attach_durable_begin(struct attach *attach)
{
	const struct attach_durable *durable = attach->durable;

	if (!attach->stdin_is_open && !durable->keeps_stdin)
		(void)vmm_guest_eof(attach->guest->handle);
	/* Until it is known what the program has for a terminal, nothing is read for it. */
	if (durable->is_asked_for)
		attach->stdin_is_open = false;
}

/* ---- leaving ------------------------------------------------------------ */

void
attach_durable_leave(struct attach *attach)
{
	attach->stdin_is_open = false;
	if (!attach->is_attached) {
		attach_end(attach, ATTACH_LEFT, 0);
		return;
	}
	(void)vmm_guest_detach(attach->guest->handle);
	attach->leave_ms = clock_mono_ms() + ATTACH_LEAVE_MS;
}

/* All that is old was shown: now what is typed is for the program. */
static void
attach_durable_end_replay(struct attach *attach)
{
	if (replay_end(&attach->replay, clock_mono_ms()))
		attach_show(attach, 0, REPLAY_FENCE, sizeof(REPLAY_FENCE) - 1);
	else
		attach_type_held(attach);
}

void
attach_durable_shown(struct attach *attach)
{
	const struct attach_durable *durable = attach->durable;

	if (!attach->is_attached || attach->piece_len > 0)
		return;
	if (attach->offset >= durable->stop_at)
		attach_end(attach, ATTACH_LEFT, 0);
	else if (attach->replay.state == REPLAY_SHOWS && attach->offset >= durable->old_until)
		attach_durable_end_replay(attach);
}

uint64_t
attach_durable_due_ms(const struct attach *attach)
{
	return clock_sooner(
	    clock_sooner(attach->keys.due_ms, attach->leave_ms), attach->replay.due_ms);
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
}

/* ---- connections that are lost ------------------------------------------- */

static void
attach_durable_lose_start(struct attach *attach)
{
	char which[DURABLE_TEXT_WHICH_MAX];

	attach_lose(attach,
	    "the connection was lost before the agent said that session %s has started; "
	    "'vmm-guest-ctl sessions' shows whether it has",
	    durable_text_which(&attach->durable->id, which));
}

/* The library comes back to it, which is not for a session that may be another's. */
static void
attach_durable_lost(struct attach *attach)
{
	const struct attach_durable *durable = attach->durable;
	char which[DURABLE_TEXT_WHICH_MAX];
	char keys[KEYS_TEXT_MAX];

	attach->is_attached = false;
	keys_format_detach(&attach->keys, keys);
	if (attach->leave_ms != CLOCK_NEVER)
		attach_end(attach, ATTACH_LEFT, 0);
	else if (durable->is_known || durable->owns_name)
		durable_text_say(
		    "the connection was lost; coming back to %s, for %u s at most%s%s%s",
		    durable_text_which(&durable->id, which), durable->reconnect_seconds,
		    keys[0] != '\0' ? " (" : "", keys, keys[0] != '\0' ? " leaves it)" : "");
	else if (!durable->is_asked_for)
		attach_durable_lose_start(attach);
	else
		attach_lose_unsaid(attach);
}

/* The operation is over. Returns whether that is to be told as of any other. */
static bool
attach_durable_end(struct attach *attach)
{
	const struct attach_durable *durable = attach->durable;
	struct vmm_guest *handle = attach->guest->handle;
	bool is_attached = attach->is_attached;
	bool is_asked = vmm_guest_reached(handle) >= VMM_GUEST_REACHED_AGENT;
	int error = vmm_guest_error(handle);
	char which[DURABLE_TEXT_WHICH_MAX];

	attach->is_attached = false;
	(void)durable_text_which(&durable->id, which);
	if (error != 0 && attach->leave_ms != CLOCK_NEVER)
		attach_end(attach, ATTACH_LEFT, 0);
	else if (vmm_guest_refusal(handle) != NULL && !is_attached &&
		 (durable->is_asked_for || durable->is_known)) {
		durable_text_refusal(
		    durable, error, vmm_guest_refusal(handle), &attach->result->error);
		attach_end(attach, ATTACH_LOST, 0);
	} else if (error == -ECONNRESET && is_asked && !durable->is_known && !durable->is_asked_for)
		attach_durable_lose_start(attach);
	else if (error == -ECONNRESET && durable->is_known && durable->reconnect_seconds == 0)
		attach_lose(attach,
		    "the connection was lost; session %s goes on, and 'vmm-guest-ctl attach' comes "
		    "back to it",
		    which);
	else if (error == -ENODATA || (error == -ECONNRESET && durable->is_known))
		attach_lose(attach, "%s", vmm_guest_error_text(handle));
	else
		return true;
	return false;
}

/* ---- what the agent tells ----------------------------------------------- */

/* The first time that the session is there: how it is left. */
static void
attach_durable_welcome(struct attach *attach)
{
	const struct attach_durable *durable = attach->durable;
	char which[DURABLE_TEXT_WHICH_MAX];
	char keys[KEYS_TEXT_MAX];

	if (attach->tty && durable->takes_input && isatty(STDIN_FILENO)) {
		attach->keys = durable->keys;
		attach_use_terminal(attach);
		if (durable->is_asked_for && attach->offset < durable->old_until)
			replay_begin(&attach->replay);
	}
	if (durable->is_asked_for && durable->takes_input)
		attach->stdin_is_open = attach->options->forward_stdin;
	if (durable->only_shows || durable->leaves_at_once || !isatty(STDERR_FILENO))
		return;
	(void)durable_text_which(&durable->id, which);
	keys_format_detach(&attach->keys, keys);
	if (keys[0] != '\0')
		durable_text_say("session %s: %s leaves it, and it goes on", which, keys);
	else if (!attach->tty)
		durable_text_say("session %s: Ctrl-C%s leaves it, and it goes on", which,
		    durable->takes_input ? " twice" : "");
}

/* REPORT, STATUS `started` or `attached`, says which session it is. */
static void
attach_durable_know(struct attach *attach, const struct report *report)
{
	struct attach_durable *durable = attach->durable;
	bool was_known = durable->is_known;

	durable->id.number = report->session;
	if (report->name != NULL)
		(void)strlcpy(durable->id.name, report->name, sizeof(durable->id.name));
	if (report->instance != NULL)
		(void)strlcpy(durable->id.instance, report->instance, sizeof(durable->id.instance));
	durable->is_known = true;
	attach->is_attached = true;
	attach->offset = vmm_guest_offset(attach->guest->handle);
	if (!was_known)
		attach_durable_welcome(attach);
}

static void
attach_durable_say_missing(uint64_t lost)
{
	char text[QUANTITY_MAX];

	quantity_format_bytes(text, lost);
	durable_text_say("%s of the output before this are no longer there", text);
}

static void
attach_durable_attached(struct attach *attach, const struct report *report)
{
	uint64_t lost = report->lost;

	if (attach->durable->is_known)
		lost = report->offset > attach->offset ? report->offset - attach->offset : 0;
	attach->tty = report->tty;
	if (report->tty && attach->durable->takes_input)
		attach_tell_size(attach);
	attach_durable_know(attach, report);
	if (!report->stdin_open)
		attach->stdin_is_open = false;
	if (lost > 0)
		attach_durable_say_missing(lost);
}

/* Returns whether it is for who reads reports: where the library comes back it is not. */
static bool
attach_durable_detached(struct attach *attach, const struct report *report)
{
	const char *why = report->why != NULL ? report->why : "";
	char which[DURABLE_TEXT_WHICH_MAX];

	if (attach->leave_ms != CLOCK_NEVER)
		attach_end(attach, ATTACH_LEFT, 0);
	else if (why[0] == '\0' || strcmp(why, ATTACH_WORKER_LOST) == 0)
		return false;
	else
		attach_lose(attach, "the agent let go of session %s: %s",
		    durable_text_which(&attach->durable->id, which), why);
	return true;
}

static void
attach_durable_input_taken(struct attach *attach)
{
	char which[DURABLE_TEXT_WHICH_MAX];

	attach->durable->takes_input = false;
	if (!terminal_is_raw())
		attach->stdin_is_open = false;
	durable_text_say("another host has taken the input of session %s; its output goes on here",
	    durable_text_which(&attach->durable->id, which));
}

static bool
attach_durable_take_status(struct attach *attach, const char *text, size_t len)
{
	struct report CLEANUP_REPORT report = { 0 };
	struct json_error error = { 0 };

	if (report_parse(text, len, &report, &error) < 0)
		return true;
	switch (report.event) {
	case REPORT_STARTED:
		if (report.session != 0)
			attach_durable_know(attach, &report);
		if (attach->durable->leaves_at_once)
			attach_durable_leave(attach);
		break;
	case REPORT_ATTACHED:
		attach_durable_attached(attach, &report);
		if (attach->durable->leaves_at_once)
			attach_durable_leave(attach);
		break;
	case REPORT_LOST:
		attach->offset = report.offset;
		if (report.lost > 0)
			attach_durable_say_missing(report.lost);
		break;
	case REPORT_INPUT_TAKEN:
		attach_durable_input_taken(attach);
		break;
	case REPORT_DETACHED:
		return attach_durable_detached(attach, &report);
	default:
		break;
	}
	return true;
}

bool
attach_durable_take(struct attach *attach, enum vmm_guest_event event, const void *data, size_t len)
{
	switch (event) {
	case VMM_GUEST_EVENT_STDOUT:
	case VMM_GUEST_EVENT_STDERR:
		attach->offset = vmm_guest_offset(attach->guest->handle);
		if (attach->replay.state == REPLAY_SHOWS)
			replay_look(&attach->replay, data, len);
		return !attach->durable->is_known || !attach->durable->leaves_at_once;
	case VMM_GUEST_EVENT_STATUS:
		return attach_durable_take_status(attach, data, len);
	case VMM_GUEST_EVENT_LOST:
		attach_durable_lost(attach);
		return false;
	case VMM_GUEST_EVENT_LEFT:
		attach_end(attach, ATTACH_LEFT, 0);
		return false;
	case VMM_GUEST_EVENT_END:
		return attach_durable_end(attach);
	default:
		return false;
	}
}
