/*
 * answer_durable: a session that goes on when its connection ends: what it tells of itself, and
 * how it is come back to.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "client/errno_name.h"
#include "client/handle.h"
#include "platform/clock.h"
#include "platform/text.h"
#include "protocol/frame.h"

#define DURABLE_FIRST_MS 50
#define DURABLE_MAX_MS 1000

/* A connection that lasted less, and brought nothing, was good for nothing. */
#define DURABLE_LASTED_MS 1000

/* Why the agent let go of a host, if coming back helps. */
#define DURABLE_WORKER_LOST "worker lost"

/* ---- what the agent tells ---------------------------------------------------- */

/* The input goes on where the agent has it. Returns whether it can. */
static bool
answer_durable_rewind(struct vmm_guest *guest, const struct report *report)
{
	struct durable *session = &guest->session;
	char text[TEXT_BYTES_MAX];
	uint64_t missing;

	if (!report->stdin_open) {
		session->stdin_closed = true;
		return true;
	}
	if (resend_rewind(&session->input, report->stdin_bytes, &missing) < 0) {
		text_format_bytes(text, missing);
		handle_end_failed(
		    guest, -ENODATA, "%s of the input were lost with the connection", text);
		return false;
	}
	/* A terminal has taken it for a key: one that was typed is not typed again. */
	if (!report->tty)
		session->input.eof_is_sent = false;
	return true;
}

static bool
answer_durable_attached(struct vmm_guest *guest, const struct report *report)
{
	uint64_t mark = report->offset + report->stdin_bytes;

	guest->awaits_attached = false;
	guest->has_begun = true;
	guest->reconnect_ms = CLOCK_NEVER;
	guest->attached_ms = clock_mono_ms();
	if (mark != guest->reconnect_mark)
		backoff_reset(&guest->backoff);
	guest->reconnect_mark = mark;
	guest->out.resize_is_due = report->tty && guest->session.holds && guest->has_size;
	return answer_durable_rewind(guest, report);
}

static void
answer_durable_detached(struct vmm_guest *guest, const struct report *report)
{
	const char *why = report->why != NULL ? report->why : "";

	if (guest->leaves)
		handle_end(guest, VMM_GUEST_EVENT_LEFT, 0);
	else if (why[0] == '\0' || strcmp(why, DURABLE_WORKER_LOST) == 0)
		vmm_guest_hangup(guest, 0);
	else
		handle_end_failed(guest, -ECONNABORTED, "the agent let go of the session: %s", why);
}

static bool
answer_durable_status(struct vmm_guest *guest, const struct piece *piece)
{
	struct report CLEANUP_REPORT report = { 0 };
	struct json_error error;

	if (report_parse((const char *)piece->data, piece->len, &report, &error) < 0)
		return true;
	durable_take_report(&guest->session, &report);
	switch (report.event) {
	case REPORT_STARTED:
		guest->reconnect_ms = CLOCK_NEVER;
		return true;
	case REPORT_ATTACHED:
		return answer_durable_attached(guest, &report);
	case REPORT_INPUT_TAKEN:
		guest->session.holds = false;
		guest->session.wants_input = false;
		return true;
	case REPORT_DETACHED:
		answer_durable_detached(guest, &report);
		return true;
	default:
		return true;
	}
}

bool
answer_durable_take(struct vmm_guest *guest, struct piece *piece)
{
	size_t skipped;

	if (piece->type == VMM_GUEST_STATUS)
		return answer_durable_status(guest, piece);
	if (!guest->session.is_known)
		return true;
	skipped = durable_count_output(&guest->session, piece->len);
	piece->data += skipped;
	piece->len -= skipped;
	return true;
}

/* Whether it is a START of which nobody knows what became of it, and whose name says that. */
static bool
answer_durable_is_in_doubt(const struct vmm_guest *guest)
{
	return guest->operation->type == VMM_GUEST_START && !guest->session.is_known &&
	       guest->options[OPTION_OWN_NAME] != 0;
}

bool
answer_durable_is_there(struct vmm_guest *guest, int error)
{
	if (!guest->starts_anew || error != -EEXIST)
		return false;
	guest->words.len = 0;
	vmm_guest_hangup(guest, ECONNREFUSED);
	return true;
}

void
answer_durable_refused(struct vmm_guest *guest)
{
	struct durable *session = &guest->session;
	enum durable_refusal refusal = durable_read_refusal(session);
	int error = errno_name_parse_refusal(session->words);
	bool may_come_back = refusal == DURABLE_BUSY || refusal == DURABLE_BEYOND;
	bool is_in_doubt = answer_durable_is_in_doubt(guest);

	guest->starts_anew = is_in_doubt && refusal == DURABLE_GONE;
	/* Without a word: the worker was lost before it had read the request. */
	if ((may_come_back && (session->is_known || is_in_doubt)) || guest->starts_anew ||
	    session->words[0] == '\0')
		vmm_guest_hangup(guest, ECONNREFUSED);
	else
		handle_end_refused(guest, error != 0 ? -error : -EREMOTEIO, session->words);
}

/* ---- coming back ------------------------------------------------------------- */

/* The START once more, and all of its input. */
static int
answer_durable_start_anew(struct vmm_guest *guest)
{
	struct resend *input = &guest->session.input;
	uint64_t missing;

	input->eof_is_sent = false;
	guest->out.resize_is_due = guest->has_size;
	if (resend_rewind(input, 0, &missing) < 0)
		return -ENODATA;
	return buffer_add(&guest->first, guest->start.data, guest->start.len, SIZE_MAX / 2);
}

static int
answer_durable_put_attach(struct vmm_guest *guest)
{
	uint8_t header[VMM_GUEST_HEADER_LEN];
	size_t len;
	char *json = durable_format_attach(&guest->session, &len);
	int r;

	if (json == NULL)
		return -ENOMEM;
	frame_header_format(header, VMM_GUEST_ATTACH, (uint32_t)len);
	r = buffer_add(&guest->first, header, sizeof(header), SIZE_MAX / 2);
	if (r == 0)
		r = buffer_add(&guest->first, json, len, SIZE_MAX / 2);
	free(json);
	return r;
}

/* The first frame of the next connection. Of an ATTACH that was never answered that is the first
 * one's again. */
static int
answer_durable_ask(struct vmm_guest *guest)
{
	bool is_in_doubt = answer_durable_is_in_doubt(guest);

	if (!guest->session.is_known && !is_in_doubt)
		return 0;
	if (is_in_doubt && guest->start.len == 0) {
		guest->start = guest->first;
		guest->first = (struct buffer){ 0 };
	}
	guest->first.len = 0;
	return guest->starts_anew ? answer_durable_start_anew(guest)
				  : answer_durable_put_attach(guest);
}

bool
answer_durable_lose(struct vmm_guest *guest)
{
	const uint64_t now = clock_mono_ms();
	const uint64_t limit_ms = (uint64_t)guest->options[OPTION_RECONNECT_MS];
	bool is_news = guest->reconnect_ms == CLOCK_NEVER;

	if (!guest->session.is_known && !guest->awaits_attached &&
	    !answer_durable_is_in_doubt(guest))
		return false;
	/* An agent that was never reached is not what is come back to. */
	if (!guest->session.is_known && !guest->has_sent && is_news)
		return false;
	if (is_news)
		guest->reconnect_ms = now + limit_ms;
	if (is_news && guest->attached_ms != 0 && now - guest->attached_ms >= DURABLE_LASTED_MS)
		backoff_reset(&guest->backoff);
	if (now >= guest->reconnect_ms)
		return false;
	/* A START that was sent may have been carried out. */
	if (guest->has_sent && !guest->awaits_attached)
		guest->starts_anew = false;
	durable_part(&guest->session);
	if (answer_durable_ask(guest) < 0)
		return false;
	guest->awaits_attached = !guest->starts_anew;
	guest->lost_is_due |= is_news;
	guest->out.detach_is_due = guest->leaves;
	handle_connect_at(
	    guest, now + backoff_next_ms(&guest->backoff, DURABLE_FIRST_MS, DURABLE_MAX_MS));
	return true;
}
