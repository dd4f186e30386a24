/*
 * SPDX-License-Identifier: MIT
 */
#include "client/durable.h"

#include <string.h>

#include "protocol/attach_request.h"

char *
durable_format_attach(const struct durable *durable, size_t *ret_len)
{
	const struct attach_request request = {
		.has_session = durable->is_known,
		.session = durable->session,
		.name = durable->is_known ? NULL : durable->name,
		.has_instance = durable->instance[0] != '\0',
		.instance = durable->instance,
		.input = durable->wants_input,
		.report = durable->wants_report,
		.has_from = durable->is_known && !durable->is_beyond_end,
		/* With when_full "wait" that counts as an ack. */
		.from = durable->acks_by_hand ? durable->acked : durable->offset,
		.has_tail = durable->is_beyond_end,
	};

	return attach_request_format(VMM_GUEST_ATTACH, &request, ret_len);
}

void
durable_part(struct durable *durable)
{
	durable->holds = false;
	durable->words[0] = '\0';
}

static void
durable_know(struct durable *durable, const struct report *report)
{
	durable->session = report->session;
	if (report->name != NULL)
		(void)strlcpy(durable->name, report->name, sizeof(durable->name));
	if (report->instance != NULL)
		(void)strlcpy(durable->instance, report->instance, sizeof(durable->instance));
	durable->is_known = true;
	durable->holds = durable->wants_input;
	durable->ack_due = durable->offset + DURABLE_ACK_EVERY;
}

/* Goes on at OFFSET. One below what we have counted is that of the session's end: what we
 * have counted behind it were the agent's own words, which come again. */
static void
durable_go_on_at(struct durable *durable, uint64_t offset)
{
	durable->skip = offset < durable->offset ? durable->offset - offset : 0;
	durable->offset = offset;
}

void
durable_take_report(struct durable *durable, const struct report *report)
{
	switch (report->event) {
	case REPORT_STARTED:
		if (report->session != 0)
			durable_know(durable, report);
		break;
	case REPORT_ATTACHED:
		if (durable->is_known)
			durable_go_on_at(durable, report->offset);
		durable->offset = report->offset;
		durable->is_beyond_end = false;
		durable_know(durable, report);
		break;
	case REPORT_LOST:
		durable->offset = report->offset;
		break;
	default:
		break;
	}
}

size_t
durable_count_output(struct durable *durable, size_t len)
{
	size_t skipped = durable->skip < len ? (size_t)durable->skip : len;

	durable->skip -= skipped;
	durable->offset += len;
	return skipped;
}

void
durable_take_words(struct durable *durable, const uint8_t *text, size_t len)
{
	size_t used = strlen(durable->words);
	size_t room = sizeof(durable->words) - 1 - used;

	len = strnlen((const char *)text, len < room ? len : room);
	memcpy(durable->words + used, text, len);
	used += len;
	while (used > 0 && durable->words[used - 1] == '\n')
		used--;
	durable->words[used] = '\0';
}

enum durable_refusal
durable_read_refusal(struct durable *durable)
{
	static const struct {
		const char *front;
		enum durable_refusal meaning;
	} refusals[] = {
		{ "busy", DURABLE_BUSY },
		{ "ERANGE:", DURABLE_BEYOND },
		{ "ESRCH:", DURABLE_GONE },
		{ "ESTALE:", DURABLE_STALE },
	};

	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
		if (strncmp(durable->words, refusals[i].front, strlen(refusals[i].front)) != 0)
			continue;
		/* Once only: an agent that refuses that too refuses anything. */
		if (refusals[i].meaning == DURABLE_BEYOND &&
		    (!durable->is_known || durable->is_beyond_end))
			return DURABLE_REFUSED;
		durable->is_beyond_end = refusals[i].meaning == DURABLE_BEYOND;
		return refusals[i].meaning;
	}
	return DURABLE_REFUSED;
}
