/*
 * exec_durable: the beginning of a durable session.
 *
 * SPDX-License-Identifier: MIT
 */
#include "session/run/exec_durable.h"

#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <string.h>

#include "shared/admission.h"
#include "shared/holder_place.h"

#define EXEC_DURABLE_PER_MIB (1024 * 1024)

/* Where nothing more is to be said. */
static const char *const exec_durable_texts[] = {
	[JOURNAL_ALL_KEPT] = "busy: 32 durable sessions are kept",
	[JOURNAL_NAMES_LOCKED] = "busy: another session is taking its name still",
	[JOURNAL_NO_MEMORY] = "busy: no memory for the journal",
	[JOURNAL_NONE] = "durable sessions are off: the guest has no memory for their journals",
};

static void
exec_durable_refuse(struct session *session, const char *name, const struct journal_refusal *why)
{
	struct scoreboard *board = session->board;

	if (why->why == JOURNAL_NAME_IS_THERE)
		session_refuse(session, NULL, -EEXIST,
		    "EEXIST: session '%s' is there (number %" PRIu64 ", %s)", name, why->session,
		    why->runs ? "running" : "ended");
	else if (why->why == JOURNAL_MEMORY_HELD)
		session_refuse(session, &board->counts.refused, -EBUSY,
		    "busy: journals hold %" PRIu64 " MiB of %" PRIu64,
		    why->bytes / EXEC_DURABLE_PER_MIB,
		    board->journal_bytes_max / EXEC_DURABLE_PER_MIB);
	else
		session_refuse(
		    session, &board->counts.refused, -EBUSY, "%s", exec_durable_texts[why->why]);
}

_Static_assert(JOURNAL_COUNT == 32, "that is how many are kept");

/* A host that has gone must find a worker to come back to. */
static bool
exec_durable_lay_by(struct session *session, struct owner *owner)
{
	char text[ADMISSION_TEXT_MAX];

	if (holder_place_lay_by(session->board, &owner->journal))
		return true;
	admission_explain(session->board, ADMISSION_LOOK, text);
	journal_unclaim(session->board, &owner->journal);
	session_refuse(session, &session->board->counts.refused, -EBUSY, "%s", text);
	return false;
}

bool
exec_durable_claim(struct session *session, const struct start_request *request, struct owner *ret)
{
	const struct start_durable *asked = &request->durable;
	const struct journal_settings settings = {
		.buffer_bytes = asked->buffer_bytes,
		.keep_seconds = asked->keep_seconds,
		.alone_seconds = asked->alone_seconds,
		.when_full = (uint8_t)asked->when_full,
		.is_tty = request->tty,
	};
	uint64_t number = atomic_load(&session->slot->session);
	struct journal_refusal why;

	*ret = (struct owner){ .session = session };
	if (session->board->workers < JOURNAL_WORKERS_MIN) {
		session_refuse(session, NULL, -ENOSYS,
		    "durable sessions are off: they need %d workers, and there are %u",
		    JOURNAL_WORKERS_MIN, session->board->workers);
		return false;
	}
	if (journal_claim(session->board, session->slot_index, number, request->name, &settings,
		&ret->journal, &why) < 0) {
		exec_durable_refuse(session, request->name, &why);
		return false;
	}
	return exec_durable_lay_by(session, ret);
}

void
exec_durable_unclaim(struct owner *owner)
{
	journal_unclaim(owner->session->board, &owner->journal);
	holder_place_settle(owner->session->board, &owner->journal);
}
