/*
 * SPDX-License-Identifier: MIT
 */
#include "shared/journal.h"

#include <errno.h>
#include <string.h>

#include "shared/attachment.h"
#include "shared/scoreboard.h"

/* Copies what RECORD says, where that makes sense. The state may change meanwhile. */
static bool
journal_copy(const struct journal_record *record, struct journal *ret)
{
	ret->session = atomic_load(&record->session);
	ret->settings = record->settings;
	memcpy(ret->name, record->name, sizeof(ret->name));
	ret->name[JOURNAL_NAME_MAX] = '\0';
	if (ret->session == 0 || ret->settings.buffer_bytes < JOURNAL_BUFFER_MIN ||
	    ret->settings.buffer_bytes > JOURNAL_BUFFER_MAX)
		return false;
	ret->ring = journal_ring(ret->settings.buffer_bytes);
	return true;
}

static bool
journal_can_be_found(uint64_t word)
{
	uint32_t state = (uint32_t)word;

	return state == JOURNAL_RUNS || state == JOURNAL_ENDED || state == JOURNAL_LOST;
}

int
journal_open(struct scoreboard *board, uint32_t index, struct journal *ret)
{
	struct journal_record *record = &board->journals.records[index % JOURNAL_COUNT];
	uint64_t word = atomic_load(&record->state);

	if (index >= board->journal_count || !journal_can_be_found(word))
		return -ESRCH;
	*ret = (struct journal){
		.record = record,
		.fd = board->journal_fds[index],
		.index = index,
		.generation = (uint32_t)(word >> JOURNAL_GENERATION_SHIFT),
	};
	if (!journal_copy(record, ret))
		return -ESRCH;
	/* What was copied is of one session if it still is that. */
	atomic_thread_fence(memory_order_acquire);
	return journal_is_kept(ret) ? 0 : -ESRCH;
}

int
journal_find(struct scoreboard *board, uint64_t session, const char *name, struct journal *ret)
{
	for (uint32_t i = 0; i < board->journal_count; i++) {
		struct journal journal;

		if (journal_open(board, i, &journal) < 0 ||
		    (name != NULL ? strcmp(journal.name, name) != 0 : journal.session != session))
			continue;
		*ret = journal;
		return 0;
	}
	return -ESRCH;
}

bool
journal_is_there(const struct journal *journal)
{
	return (uint32_t)(atomic_load(&journal->record->state) >> JOURNAL_GENERATION_SHIFT) ==
	       journal->generation;
}

bool
journal_is_kept(const struct journal *journal)
{
	uint64_t word = atomic_load(&journal->record->state);

	return journal_can_be_found(word) &&
	       (uint32_t)(word >> JOURNAL_GENERATION_SHIFT) == journal->generation;
}

bool
journal_is_running(const struct journal *journal)
{
	return atomic_load(&journal->record->state) == journal_word(journal, JOURNAL_RUNS);
}

bool
journal_has_ended(const struct journal *journal, struct journal_end *ret)
{
	struct journal_end how;
	uint32_t state = journal_state(journal->record);

	if (state != JOURNAL_ENDED && state != JOURNAL_LOST && state != JOURNAL_FORGOTTEN)
		return false;
	how = journal->record->how;
	how.reason[sizeof(how.reason) - 1] = '\0';
	how.words[sizeof(how.words) - 1] = '\0';
	atomic_thread_fence(memory_order_acquire);
	if (!journal_is_there(journal))
		return false;
	*ret = how;
	return true;
}

uint32_t
journal_owner(const struct scoreboard *board, const struct journal *journal)
{
	uint32_t index = atomic_load(&journal->record->owner) - 1;

	return index < board->workers ? index : UINT32_MAX;
}

void
journal_ack(struct scoreboard *board, const struct journal *journal, uint64_t offset)
{
	uint64_t acked = atomic_load(&journal->record->acked);

	if (offset > journal_end_offset(journal))
		return;
	while (offset > acked)
		if (atomic_compare_exchange_weak(&journal->record->acked, &acked, offset))
			break;
	if (journal->settings.when_full == JOURNAL_FULL_WAIT)
		attachment_wake_owner(board, journal, ATTACHMENT_ROOM);
}

void
journal_set_fetched(const struct journal *journal)
{
	if (journal_is_there(journal))
		atomic_store(&journal->record->fetched, 1);
}

bool
journal_publish(const struct journal *journal, uint16_t epoch, size_t len, bool closes)
{
	uint64_t word = atomic_load(&journal->record->input);
	uint64_t next;

	do {
		if (journal_input_epoch(word) != epoch || journal_input_is_closed(word) ||
		    len > JOURNAL_INPUT_MAX - journal_input_bytes(word))
			return false;
		next = word + len + (closes ? JOURNAL_INPUT_CLOSED : 0);
	} while (!atomic_compare_exchange_weak(&journal->record->input, &word, next));
	return true;
}

bool
journal_takes_input(const struct journal *journal)
{
	return atomic_load(&journal->record->stdin_closed) == 0 &&
	       !journal_input_is_closed(atomic_load(&journal->record->input));
}
