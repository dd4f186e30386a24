/*
 * SPDX-License-Identifier: MIT
 */
#include "session/durable/attach.h"

#include <errno.h>
#include <stdatomic.h>

#include "protocol/report.h"
#include "session/durable/attach_run.h"
#include "session/durable/find.h"
#include "session/durable/follow.h"
#include "session/rest.h"
#include "shared/admission.h"
#include "shared/attachment.h"
#include "shared/holder_place.h"

struct attach {
	struct session *session;
	uint64_t wanted;       /* the offset that was asked for; 0: the oldest there is */
	uint64_t offset;       /* where it begins */
	bool has_holder_place; /* see attach_take_place() */
	struct journal journal;
	struct follow follow;
};

/* ---- the request ------------------------------------------------------------- */

/* Where the output begins. Returns 0, or -ERANGE. While it is held, nothing is overwritten;
 * see attachment_begin(). */
static int
attach_choose_offset(struct attach *attach, const struct attach_request *request)
{
	uint64_t end = journal_end_offset(&attach->journal);
	uint64_t oldest = journal_oldest_offset(&attach->journal);

	if (request->has_from && request->from > end)
		return -ERANGE;
	if (request->has_from)
		attach->wanted = request->from;
	else if (request->has_tail)
		attach->wanted = end - (request->tail < end ? request->tail : end);
	attach->offset = attach->wanted > oldest ? attach->wanted : oldest;
	return 0;
}

/* Takes the input, if it is asked for. Returns the input's word. */
static uint64_t
attach_take_input(struct attach *attach, const struct attach_request *request)
{
	struct session *session = attach->session;

	if (!request->input)
		return atomic_load(&attach->journal.record->input);
	return attachment_take_input(session->board, session->slot_index, &attach->journal);
}

static void
attach_say_attached(struct attach *attach, uint64_t input)
{
	const struct journal *journal = &attach->journal;
	uint32_t size = atomic_load(&journal->record->size);
	char instance[VMM_GUEST_INSTANCE_LEN + 1];
	const struct report report = {
		.event = REPORT_ATTACHED,
		.session = journal->session,
		.name = journal->name,
		.instance = instance,
		.offset = attach->offset,
		.lost = attach->offset - attach->wanted,
		.stdin_bytes = journal_input_bytes(input),
		.stdin_open = !journal_input_is_closed(input) && journal_takes_input(journal),
		.running = journal_is_running(journal),
		.tty = journal->settings.is_tty != 0,
		.columns = (uint16_t)(size >> 16),
		.rows = (uint16_t)size,
	};

	session_format_instance(attach->session, instance);
	follow_say(&attach->follow, &report);
}

/* The host that takes the input has the place that the session has laid by, from whoever had
 * it until now; when that was given back, as the session is over, it looks on like others. */
static bool
attach_take_place(struct attach *attach, bool input)
{
	struct session *session = attach->session;

	attach->has_holder_place =
	    input && holder_place_take(&attach->journal, session->slot_index);
	return attach->has_holder_place ||
	       admission_take(session->board, session->slot_index, ADMISSION_LOOK);
}

/* All that may be refused comes first: nothing is taken from anybody for that. Returns 0,
 * -ESRCH, -ERANGE or -EBUSY. */
static int
attach_admit(struct attach *attach, const struct attach_request *request)
{
	struct session *session = attach->session;
	int r;

	attachment_begin(session->board, session->slot_index, &attach->journal, 0, request->input);
	if (!journal_is_kept(&attach->journal))
		return -ESRCH;
	r = attach_choose_offset(attach, request);
	if (r < 0)
		return r;
	attachment_set_sent(session->board, session->slot_index, &attach->journal, attach->offset);
	return attach_take_place(attach, request->input) ? 0 : -EBUSY;
}

static void
attach_begin(struct attach *attach, const struct attach_request *request)
{
	uint64_t input = attach_take_input(attach, request);

	follow_init(
	    &attach->follow, attach->session, &attach->journal, attach->offset, request->report);
	if (request->has_from)
		follow_ack(&attach->follow, request->from);
	attach_say_attached(attach, input);
}

/* ---- all of it -------------------------------------------------------------------- */

static void
attach_refuse(struct attach *attach, const struct attach_request *request, int error)
{
	struct session *session = attach->session;

	if (error == -EBUSY) {
		char text[ADMISSION_TEXT_MAX];

		admission_explain(session->board, ADMISSION_LOOK, text);
		session_refuse(session, &session->board->counts.refused, error, "%s", text);
	} else if (error == -ERANGE)
		session_refuse(session, NULL, error,
		    "ERANGE: offset %llu is beyond the end, which is %llu",
		    (unsigned long long)request->from,
		    (unsigned long long)journal_end_offset(&attach->journal));
	else if (request->has_session)
		session_refuse(session, NULL, error, "ESRCH: there is no durable session %llu",
		    (unsigned long long)request->session);
	else
		session_refuse(
		    session, NULL, error, "ESRCH: there is no durable session '%s'", request->name);
}

void
attach_serve(struct session *session, uint8_t type, const uint8_t *payload, size_t len)
{
	struct attach attach = { .session = session };
	struct attach_request request;
	int r = durable_find(session, type, payload, len, &request, &attach.journal);

	if (r == 0)
		r = attach_admit(&attach, &request);
	if (r == 0)
		attach_begin(&attach, &request);
	else if (r != -EINVAL) {
		attachment_end(session->board, session->slot_index);
		attach_refuse(&attach, &request, r);
	}
	attach_request_done(&request);
	if (r < 0)
		return;
	session_describe(session, "", attach.journal.name);
	rest_join(&session->conn);
	attach_run(&attach.follow, attach.has_holder_place);
	follow_done(&attach.follow);
	attachment_end(session->board, session->slot_index);
	holder_place_leave(session->board, &attach.journal, session->slot_index);
}
