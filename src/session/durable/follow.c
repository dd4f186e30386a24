/*
 * SPDX-License-Identifier: MIT
 */
#include "session/durable/follow.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/report.h"
#include "session/rest.h"
#include "shared/admission.h"
#include "shared/attachment.h"
#include "shared/holder_place.h"

/* What one follow_push() begins at most: its caller has other things to look at. */
#define FOLLOW_FRAMES_MAX 4

void
follow_done(struct follow *follow)
{
	for (size_t i = 0; i < follow->notes_count; i++)
		free(follow->notes[i].text);
	follow->notes_count = 0;
}

static void
follow_fail(struct follow *follow, int error)
{
	if (follow->error == 0)
		follow->error = error;
}

static bool
follow_is_owner(const struct follow *follow)
{
	const struct session *session = follow->session;

	return journal_owner(session->board, follow->journal) == session->slot_index;
}

static bool
follow_holds_input(const struct follow *follow)
{
	const struct session *session = follow->session;

	return attachment_holds(session->board, session->slot_index, follow->journal);
}

void
follow_init(struct follow *follow, struct session *session, const struct journal *journal,
    uint64_t offset, bool report)
{
	const struct attachment *attachment =
	    &session->board->slots[session->slot_index].attachment;

	*follow = (struct follow){
		.session = session,
		.journal = journal,
		.offset = offset,
		.sent = offset,
		.report = report,
	};
	/* A host that has taken it, and lost it by now, is told so like any other. */
	follow->is_holder = atomic_load(&attachment->epoch) != 0;
}

void
follow_say(struct follow *follow, const struct report *report)
{
	struct follow_note note = { .text = NULL };

	if (follow->notes_count < FOLLOW_NOTES_MAX)
		note.text = report_format(report, &note.len);
	if (note.text != NULL)
		follow->notes[follow->notes_count++] = note;
	else
		follow_fail(follow, -ENOMEM);
}

void
follow_detach(struct follow *follow, const char *why)
{
	if (follow->detaches)
		return;
	follow->detaches = true;
	follow->detach_why = why;
}

bool
follow_has_lost_input(struct follow *follow)
{
	if (!follow->is_holder || follow_holds_input(follow))
		return false;
	follow->is_holder = false;
	follow_say(follow, &(struct report){ .event = REPORT_INPUT_TAKEN });
	return true;
}

static void
follow_set_sent(struct follow *follow, uint64_t offset)
{
	struct session *session = follow->session;

	if (follow->sent == offset)
		return;
	follow->sent = offset;
	attachment_set_sent(session->board, session->slot_index, follow->journal, offset);
}

void
follow_leave(struct follow *follow)
{
	follow->is_left = true;
	follow_set_sent(follow, ATTACHMENT_LEFT);
}

void
follow_ack(struct follow *follow, uint64_t offset)
{
	if (offset <= follow->offset && follow_holds_input(follow))
		journal_ack(follow->session->board, follow->journal, offset);
}

/* ---- one frame after the other ------------------------------------------- */

/* All of these begin at most one frame. They return 1 if they have, 0 where there is
 * nothing for them to send, or -errno. */

static int
follow_begin(struct follow *follow, uint8_t type, size_t len, bool is_last)
{
	follow->has_last = is_last;
	conn_begin_push(&follow->session->conn, type, len, is_last);
	return 1;
}

/* TEXT is freed. */
static int
follow_begin_text(struct follow *follow, char *text, size_t len, bool is_last)
{
	if (text == NULL || len > VMM_GUEST_DATA_MAX) {
		free(text);
		return -ENOMEM;
	}
	memcpy(conn_tx_buffer(), text, len);
	free(text);
	return follow_begin(follow, VMM_GUEST_STATUS, len, is_last);
}

static int
follow_begin_status(struct follow *follow, const struct report *report, bool is_last)
{
	size_t len = 0;
	char *text = report_format(report, &len);

	return follow_begin_text(follow, text, len, is_last);
}

static void
follow_free_place(const struct follow *follow)
{
	const struct session *session = follow->session;

	admission_free(session->board, session->slot_index);
	holder_place_leave(session->board, follow->journal, session->slot_index);
}

static int
follow_begin_note(struct follow *follow)
{
	struct follow_note note = follow->notes[0];

	follow->notes_count--;
	memmove(&follow->notes[0], &follow->notes[1], follow->notes_count * sizeof(note));
	return follow_begin_text(follow, note.text, note.len, false);
}

/* A host that reads it and comes back finds the place free, unless it is the owner's,
 * which has its program still. */
static int
follow_begin_detached(struct follow *follow)
{
	const struct report report = {
		.event = REPORT_DETACHED,
		.has_offset = true,
		.offset = follow->offset,
		.why = follow->detach_why,
	};

	if (!follow_is_owner(follow))
		follow_free_place(follow);
	return follow_begin_status(follow, &report, true);
}

/* Whether all that is still there waits for this reader, and what is gone was nobody's to
 * keep. */
static bool
follow_is_waited_for(const struct follow *follow)
{
	return follow->is_holder && follow->journal->settings.when_full != JOURNAL_FULL_DROP;
}

/* What is at OLDEST may be gone before it is read, and again after that: a reader that was
 * overtaken twice goes on in the middle of what there is, unless it is waited for. */
static int
follow_begin_lost(struct follow *follow, uint64_t oldest)
{
	uint64_t end = journal_end_offset(follow->journal);
	struct report report = { .event = REPORT_LOST, .offset = oldest };

	if (follow->is_behind && end > oldest && !follow_is_waited_for(follow))
		report.offset += (end - oldest) / 2;
	report.lost = report.offset - follow->offset;
	follow->is_behind = true;
	follow->offset = report.offset;
	return follow_begin_status(follow, &report, false);
}

static int
follow_begin_output(struct follow *follow)
{
	uint64_t oldest = 0;
	bool is_stderr = false;
	ssize_t n = journal_read(follow->journal, follow->offset, conn_tx_buffer(),
	    VMM_GUEST_DATA_MAX, &is_stderr, &oldest);

	if (n == -ERANGE)
		return follow_begin_lost(follow, oldest);
	if (n <= 0)
		return (int)n;
	follow->is_behind = false;
	follow->offset += (uint64_t)n;
	return follow_begin(
	    follow, is_stderr ? VMM_GUEST_STDERR : VMM_GUEST_STDOUT, (size_t)n, false);
}

void
follow_read_end(const struct journal_end *how, struct report *ret)
{
	*ret = (struct report){
		.event = REPORT_EXITED,
		.exited = {
			.code = how->code,
			.signal = how->signal,
			.reason = how->reason,
			.wall_ms = how->wall_ms,
			.user_ms = how->user_ms,
			.system_ms = how->system_ms,
			.max_rss_kb = how->max_rss_kb,
			.output_held = how->output_held != 0,
			.has_memory_peak = how->has_memory_peak != 0,
			.has_oom_kills = how->has_oom_kills != 0,
			.memory_peak_bytes = how->memory_peak_bytes,
			.oom_kills = how->oom_kills,
		},
	};
}

static int
follow_begin_exited(struct follow *follow, const struct journal_end *how)
{
	struct report report;
	int r;

	follow->end = FOLLOW_END_WORDS;
	if (!follow->report || how->has_numbers == 0)
		return 0;
	follow_read_end(how, &report);
	r = follow_begin_status(follow, &report, false);
	/* EXIT is owed, and this is not. */
	return r == -ENOMEM ? 0 : r;
}

static int
follow_begin_words(struct follow *follow, const struct journal_end *how)
{
	size_t len = strnlen(how->words, sizeof(how->words));

	follow->end = FOLLOW_END_EXIT;
	if (len == 0)
		return 0;
	memcpy(conn_tx_buffer(), how->words, len);
	conn_tx_buffer()[len++] = '\n';
	return follow_begin(follow, VMM_GUEST_STDERR, len, false);
}

/* The place is kept while the host leaves no room, and given back before EXIT goes. */
static int
follow_begin_exit(struct follow *follow, const struct journal_end *how)
{
	follow->waits = !conn_has_room(&follow->session->conn);
	if (follow->waits)
		return 0;
	follow->end = FOLLOW_END_OVER;
	frame_exit_format(
	    conn_tx_buffer(), (struct frame_exit){ .code = how->code, .signal = how->signal });
	follow_free_place(follow);
	return follow_begin(follow, VMM_GUEST_EXIT, VMM_GUEST_EXIT_LEN, true);
}

static int
follow_begin_end(struct follow *follow, const struct journal_end *how)
{
	static int (*const steps[])(struct follow *, const struct journal_end *) = {
		[FOLLOW_END_EXITED] = follow_begin_exited,
		[FOLLOW_END_WORDS] = follow_begin_words,
		[FOLLOW_END_EXIT] = follow_begin_exit,
	};
	int r = 0;

	while (r == 0 && follow->end < FOLLOW_END_OVER && !follow->waits)
		r = steps[follow->end](follow, how);
	return r;
}

static int
follow_begin_next(struct follow *follow)
{
	struct journal_end how;
	bool has_ended;
	int r;

	follow->waits = false;
	if (follow->notes_count > 0)
		return follow_begin_note(follow);
	/* A host that has come while the guest is quiesced is told so. */
	if (rest_is_due())
		return 0;
	if (follow->detaches)
		return follow_begin_detached(follow);
	if (follow->is_left)
		return 0;
	/* In this order: once the end stands, no byte follows. */
	has_ended = journal_has_ended(follow->journal, &how);
	r = follow_begin_output(follow);
	return r == 0 && has_ended ? follow_begin_end(follow, &how) : r;
}

/* ---- the turn ------------------------------------------------------------ */

/* All that was begun has gone whole. */
static void
follow_has_sent(struct follow *follow)
{
	if (follow->end == FOLLOW_END_OVER)
		journal_set_fetched(follow->journal);
	if (!follow->is_left)
		follow_set_sent(follow, follow->offset);
}

/* Returns 0 if all of the frame under way has gone. */
static int
follow_push_frame(struct follow *follow)
{
	int r = conn_push(&follow->session->conn);

	if (r == 0)
		follow_has_sent(follow);
	return r;
}

int
follow_push(struct follow *follow)
{
	for (int begun = 0;; begun++) {
		int r = follow_push_frame(follow);

		if (r < 0)
			return r == -EAGAIN ? 0 : r;
		if (follow->has_last)
			return 1;
		if (begun == FOLLOW_FRAMES_MAX)
			return 0;
		if (follow->error == 0)
			r = follow_begin_next(follow);
		if (r < 0)
			follow_fail(follow, r);
		if (follow->error < 0 || r == 0)
			return follow->error;
	}
}

bool
follow_wants_room(const struct follow *follow)
{
	return conn_is_pushing(&follow->session->conn) || follow->waits;
}

bool
follow_has_more(const struct follow *follow)
{
	if (follow_wants_room(follow) || follow->has_last)
		return false;
	if (follow->error < 0 || follow->notes_count > 0 || follow->detaches)
		return true;
	if (follow->is_left)
		return false;
	return journal_end_offset(follow->journal) > follow->offset ||
	       !journal_is_running(follow->journal);
}

bool
follow_is_caught_up(const struct follow *follow)
{
	return !follow_wants_room(follow) && !follow->has_last && !follow->is_left &&
	       !follow_has_more(follow);
}

int
follow_push_direct(struct follow *follow, bool is_stderr, size_t len)
{
	int r;

	if (follow->offset + len != journal_end_offset(follow->journal))
		return follow_push(follow);
	follow->offset += len;
	(void)follow_begin(follow, is_stderr ? VMM_GUEST_STDERR : VMM_GUEST_STDOUT, len, false);
	r = follow_push_frame(follow);
	return r == -EAGAIN ? 0 : r;
}
