/*
 * exec_durable: the beginning and the end of a durable session, as START has them.
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

/* With fewer a host that has gone might never find a worker to come back to. */
#define EXEC_DURABLE_WORKERS_MIN 4

#define EXEC_DURABLE_PER_MIB (1024 * 1024)

static void
exec_durable_refuse(struct session *session, const char *name, const struct journal_refusal *why)
{
	_Atomic uint64_t *count = &session->board->counts.refused;

	switch (why->why) {
	case JOURNAL_NAME_IS_THERE:
		session_refuse(session, NULL, -EEXIST,
		    "EEXIST: session '%s' is there (number %" PRIu64 ", %s)", name, why->session,
		    why->runs ? "running" : "ended");
		break;
	case JOURNAL_ALL_KEPT:
		session_refuse(session, count, -EBUSY, "busy: %u durable sessions are kept",
		    session->board->journal_count);
		break;
	case JOURNAL_MEMORY_HELD:
		session_refuse(session, count, -EBUSY,
		    "busy: journals hold %" PRIu64 " MiB of %" PRIu64,
		    why->bytes / EXEC_DURABLE_PER_MIB,
		    session->board->journal_bytes_max / EXEC_DURABLE_PER_MIB);
		break;
	case JOURNAL_NAMES_LOCKED:
		session_refuse(
		    session, count, -EBUSY, "busy: another session is taking its name still");
		break;
	case JOURNAL_NO_MEMORY:
		session_refuse(session, count, -EBUSY, "busy: no memory for the journal");
		break;
	case JOURNAL_NONE:
		session_refuse(session, NULL, -ENOSYS,
		    "durable sessions are off: the guest has no memory for their journals");
		break;
	}
}

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
	if (session->board->workers < EXEC_DURABLE_WORKERS_MIN) {
		session_refuse(session, NULL, -ENOSYS,
		    "durable sessions are off: they need %d workers, and there are %u",
		    EXEC_DURABLE_WORKERS_MIN, session->board->workers);
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

void
exec_durable_finish(struct owner *owner, const struct report_exited *exited, const char *words)
{
	struct journal_end how = {
		.code = exited->code,
		.signal = exited->signal,
		.has_numbers = true,
		.output_held = exited->output_held,
		.has_memory_peak = exited->has_memory_peak,
		.has_oom_kills = exited->has_oom_kills,
		.wall_ms = exited->wall_ms,
		.user_ms = exited->user_ms,
		.system_ms = exited->system_ms,
		.max_rss_kb = exited->max_rss_kb,
		.memory_peak_bytes = exited->memory_peak_bytes,
		.oom_kills = exited->oom_kills,
	};

	(void)strlcpy(how.reason, exited->reason, sizeof(how.reason));
	(void)strlcpy(how.words, words, sizeof(how.words));
	owner_finish(owner, &how);
}
