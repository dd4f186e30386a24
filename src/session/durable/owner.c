/*
 * owner: the journal, its readers and the input of a durable session, for the worker that
 * runs its program. Its own host is owner_host.c's.
 *
 * SPDX-License-Identifier: MIT
 */
#include "session/durable/owner.h"

#include <stdatomic.h>

#include "platform/memory.h"
#include "session/durable/owner_host.h"
#include "session/rest.h"
#include "shared/attachment.h"
#include "shared/holder_place.h"

#define OWNER_PAGE 4096

/* What was read from the program, while the connection's own buffer is not free for it, and
 * input on its way. */
static MEMORY_LARGE _Alignas(OWNER_PAGE) uint8_t owner_memory[JOURNAL_READ_MAX];

static void
owner_say_started(struct owner *owner, int32_t pid)
{
	char instance[VMM_GUEST_INSTANCE_LEN + 1];
	const struct report report = {
		.event = REPORT_STARTED,
		.pid = pid,
		.session = owner->journal.session,
		.name = owner->journal.name,
		.instance = instance,
	};

	session_format_instance(owner->session, instance);
	follow_say(&owner->follow, &report);
}

void
owner_begin(struct owner *owner, const struct owner_start *start)
{
	struct session *session = owner->session;
	struct journal *journal = &owner->journal;
	uint64_t word;

	/* The input is this connection's before anybody can find the session, and take it. */
	attachment_begin(session->board, session->slot_index, journal, 0, true);
	word = attachment_take_input(session->board, session->slot_index, journal);
	owner->epoch = (uint16_t)(journal_input_epoch(word) + 1);
	owner->holder = -1;
	owner->host = OWNER_HOST_ATTACHED;
	owner_set_size(owner, start->columns, start->rows);
	follow_init(&owner->follow, session, journal, 0, start->report);
	owner_say_started(owner, start->pid);
	journal_begin(journal, start->pid, start->takes_input);
}

/* ---- who is there --------------------------------------------------------- */

static void
owner_count(struct owner *owner)
{
	bool is_there = owner->host == OWNER_HOST_ATTACHED;

	owner->others = attachment_count(owner->session->board, &owner->journal) - is_there;
	owner->is_alone = owner->others == 0 && !is_there;
}

void
owner_look_who_is_there(struct owner *owner)
{
	const struct session *session = owner->session;
	int holder = attachment_holder(session->board, &owner->journal);

	if (holder == (int)session->slot_index)
		holder = -1;
	if (holder != owner->holder)
		owner->size_seen = 0;
	owner->holder = holder;
	owner_count(owner);
}

bool
owner_keeps_pace(const struct owner *owner)
{
	return owner->host == OWNER_HOST_ATTACHED && owner->follow.is_holder && !owner->is_ahead &&
	       owner->journal.settings.when_full != JOURNAL_FULL_DROP &&
	       !follow_is_caught_up(&owner->follow);
}

void
owner_update_room(struct owner *owner)
{
	owner->room = 0;
	if (!owner_keeps_pace(owner))
		owner->room =
		    journal_room(owner->session->board, &owner->journal, owner->is_draining);
}

void
owner_go_ahead(struct owner *owner)
{
	owner->is_ahead = true;
	owner_update_room(owner);
}

/* A reader that sleeps is woken when there is nothing more to append at once, or much was
 * appended: to wake it each time would cost more than the output. */
static void
owner_tell_readers(struct owner *owner)
{
	bool is_later = owner->has_appended && owner->untold < JOURNAL_READ_MAX;

	owner->has_appended = false;
	if (owner->others == 0 && !owner->has_changed)
		owner->untold = 0;
	if (owner->untold == 0 || is_later)
		return;
	owner->untold = 0;
	attachment_wake_all(owner->session->board, owner->journal.index, ATTACHMENT_OUTPUT);
}

void
owner_look(struct owner *owner)
{
	uint32_t changes;

	owner_update_room(owner);
	attachment_sleep(owner->session->board, owner->session->slot_index,
	    ATTACHMENT_CHANGE | (owner->room == 0 ? ATTACHMENT_ROOM : 0));
	changes = atomic_load(&owner->journal.record->changes);
	owner->has_changed = changes != owner->changes;
	if (owner->has_changed) {
		owner->changes = changes;
		owner_look_who_is_there(owner);
	}
	owner_tell_readers(owner);
	if (owner->host == OWNER_HOST_ATTACHED)
		(void)follow_has_lost_input(&owner->follow);
	if (owner->room == 0)
		owner_update_room(owner);
}

void
owner_rise(struct owner *owner)
{
	attachment_rise(owner->session->board, owner->session->slot_index);
}

/* ---- the output ----------------------------------------------------------- */

uint8_t *
owner_buffer(struct owner *owner)
{
	/* No frame is begun that would have to go to its end before we rest. */
	owner->is_direct = follow_is_caught_up(&owner->follow) && !rest_is_due();
	return owner->is_direct ? conn_tx_buffer() : owner_memory;
}

int
owner_take_output(struct owner *owner, bool is_stderr, size_t len)
{
	const uint8_t *bytes = owner->is_direct ? conn_tx_buffer() : owner_memory;
	int r = journal_append(&owner->journal, is_stderr, bytes, len);

	if (r < 0)
		return r;
	owner->has_appended = true;
	owner->untold += len;
	if (owner->is_direct)
		owner_push_direct(owner, is_stderr, len);
	owner_update_room(owner);
	return 0;
}

bool
owner_keeps_pipes_small(const struct owner *owner)
{
	return owner->journal.settings.when_full != JOURNAL_FULL_DROP;
}

void
owner_drain(struct owner *owner)
{
	owner->is_draining = true;
	owner_update_room(owner);
}

void
owner_finish(struct owner *owner, const struct journal_end *how)
{
	struct scoreboard *board = owner->session->board;

	journal_finish(board, &owner->journal, how);
	holder_place_settle(board, &owner->journal);
	attachment_wake_all(board, owner->journal.index, ATTACHMENT_OUTPUT | ATTACHMENT_CHANGE);
	owner->untold = 0;
	owner->has_input = false;
	memory_give_back(owner_memory, sizeof(owner_memory));
}

/* ---- the input ------------------------------------------------------------ */

bool
owner_publish(struct owner *owner, size_t len, bool closes)
{
	return journal_publish(&owner->journal, owner->epoch, len, closes);
}

bool
owner_host_holds(const struct owner *owner)
{
	return attachment_holds(owner->session->board, owner->session->slot_index, &owner->journal);
}

size_t
owner_next_input(struct owner *owner, size_t max, const uint8_t **ret)
{
	ssize_t n;

	owner->has_input = false;
	if (owner->holder < 0 || max == 0)
		return 0;
	if (max > sizeof(owner_memory))
		max = sizeof(owner_memory);
	n = attachment_get(
	    owner->session->board, (uint32_t)owner->holder, &owner->journal, owner_memory, max);
	*ret = owner_memory;
	owner->has_input = n > 0;
	return n > 0 ? (size_t)n : 0;
}

bool
owner_next_eof(struct owner *owner, bool closes)
{
	return owner->holder >= 0 && attachment_get_eof(owner->session->board,
					 (uint32_t)owner->holder, &owner->journal, closes);
}

int
owner_next_signal(struct owner *owner)
{
	if (owner->holder < 0)
		return 0;
	return attachment_get_signal(
	    owner->session->board, (uint32_t)owner->holder, &owner->journal);
}

bool
owner_next_size(struct owner *owner, uint16_t *ret_columns, uint16_t *ret_rows, bool *ret_is_first)
{
	*ret_is_first = owner->size_seen == 0;
	return owner->holder >= 0 &&
	       attachment_get_size(owner->session->board, (uint32_t)owner->holder, &owner->journal,
		   &owner->size_seen, ret_columns, ret_rows);
}

void
owner_set_size(struct owner *owner, uint16_t columns, uint16_t rows)
{
	if (columns != 0 && rows != 0)
		atomic_store(&owner->journal.record->size, (uint32_t)columns << 16 | rows);
}

void
owner_close_input(struct owner *owner)
{
	if (atomic_load(&owner->journal.record->stdin_closed) == 0)
		attachment_close_input(owner->session->board, &owner->journal);
}
