/*
 * What is kept of a session that has ended, how long, and how it goes.
 *
 * SPDX-License-Identifier: MIT
 */
#include "shared/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "platform/bell.h"
#include "platform/clock.h"
#include "shared/attachment.h"
#include "shared/journal_free.h"
#include "shared/scoreboard.h"
#include "shared/slot_lock.h"
#include "vmm-guest/protocol.h"

#define JOURNAL_MS_PER_S 1000
#define JOURNAL_KEEP_MAX_S 604800

/* The time to the next look after something was done that may not have come to its end. */
#define JOURNAL_AGAIN_MS 100

void
journal_free_finish(struct scoreboard *board, uint32_t index)
{
	struct journal_record *record = &board->journals.records[index];
	uint64_t word = atomic_load(&record->state);

	/* Where that fails the supervisor tries again: what stands there must not come to
	 * light in the next one. */
	if (fallocate(board->journal_fds[index], FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
		journal_file_size(board->workers)) < 0)
		atomic_store(&record->owner, 0);
	else
		atomic_store(&record->state, word - JOURNAL_FREEING + JOURNAL_FREE);
}

bool
journal_free(struct scoreboard *board, uint32_t index, uint64_t seen, uint32_t owner)
{
	struct journal_record *record = &board->journals.records[index];
	uint64_t generation = (seen >> JOURNAL_GENERATION_SHIFT) + 1;

	/* A worker says so before the swap, for journal_lose(). The supervisor, whose 0 needs no
	 * heir, must not: with no lock held, this may be a new session's record by now. */
	if (owner != 0)
		atomic_store(&record->owner, owner);
	if (!atomic_compare_exchange_strong(
		&record->state, &seen, generation << JOURNAL_GENERATION_SHIFT | JOURNAL_FREEING))
		return false;
	journal_free_finish(board, index);
	return true;
}

int
journal_forget(struct scoreboard *board, const struct journal *journal)
{
	static const enum journal_state kept[] = { JOURNAL_ENDED, JOURNAL_LOST };

	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++) {
		uint64_t word = journal_word(journal, kept[i]);

		if (!atomic_compare_exchange_strong(
			&journal->record->state, &word, journal_word(journal, JOURNAL_FORGOTTEN)))
			continue;
		attachment_wake_all(board, journal->index, ATTACHMENT_CHANGE);
		bell_ring(board->bell_fd);
		return 0;
	}
	return journal_is_running(journal) ? -EBUSY : -ESRCH;
}

/* Its owner has died. */
static void
journal_mark_lost(struct scoreboard *board, struct journal_record *record, const char *words)
{
	uint64_t word = atomic_load(&record->state);

	record->how = (struct journal_end){ .code = VMM_GUEST_EXIT_AGENT };
	(void)strlcpy(record->how.words, words, sizeof(record->how.words));
	atomic_store(&record->owner, 0);
	atomic_store(&record->pid, 0);
	atomic_store(&record->ending, atomic_fetch_add(&board->journals.endings, 1) + 1);
	atomic_store(&record->state, word - JOURNAL_RUNS + JOURNAL_LOST);
}

/* Deals with the journal of INDEX, which OWNER had. Returns whether a session was lost. */
static bool
journal_inherit(struct scoreboard *board, uint32_t index, const char *words)
{
	struct journal_record *record = &board->journals.records[index];
	uint64_t word = atomic_load(&record->state);

	switch ((enum journal_state)(uint32_t)word) {
	case JOURNAL_FREE:
	case JOURNAL_ENDED:
	case JOURNAL_LOST:
	case JOURNAL_FORGOTTEN:
		return false;
	case JOURNAL_RUNS:
		journal_mark_lost(board, record, words);
		return true;
	case JOURNAL_FREEING:
		journal_free_finish(board, index);
		return false;
	case JOURNAL_CLAIMED:
	default:
		(void)journal_free(board, index, word, 0);
		return false;
	}
}

int
journal_lose(struct scoreboard *board, uint32_t slot_index, const char *words)
{
	int lost = -ENOENT;

	slot_lock_give(&board->journals.claimer, slot_index);
	for (uint32_t i = 0; i < board->journal_count; i++)
		if (atomic_load(&board->journals.records[i].owner) == slot_index + 1 &&
		    journal_inherit(board, i, words))
			lost = (int)i;
	return lost;
}

/* How many are attached to JOURNAL; and what they were sent, all together: it changes when
 * one of them gets on. */
static uint32_t
journal_count_readers(
    const struct scoreboard *board, const struct journal *journal, uint64_t *ret_sent)
{
	uint32_t count = 0;

	*ret_sent = 0;
	for (uint32_t i = 0; i < board->workers; i++) {
		if (!attachment_is_of(board, i, journal))
			continue;
		count++;
		*ret_sent += atomic_load(&board->slots[i].attachment.sent);
	}
	return count;
}

/* How long a journal in STATE is kept. */
static uint64_t
journal_keep_ms(const struct journal *journal, enum journal_state state, uint64_t stall_ms)
{
	uint64_t seconds = journal->record->settings.keep_seconds;

	if (state == JOURNAL_FORGOTTEN)
		return stall_ms;
	return (seconds < JOURNAL_KEEP_MAX_S ? seconds : JOURNAL_KEEP_MAX_S) * JOURNAL_MS_PER_S;
}

/* Whether WORD, of RECORD, is of no state that there is, or its owner can't be, or serves
 * another session: a wild worker has written that. */
static bool
journal_is_stray(const struct scoreboard *board, const struct journal_record *record, uint64_t word)
{
	uint32_t state = (uint32_t)word;
	uint32_t owner = atomic_load(&record->owner) - 1;

	if (state != JOURNAL_CLAIMED && state != JOURNAL_RUNS && state != JOURNAL_FREEING)
		return state > JOURNAL_FREEING;
	if (owner < board->workers &&
	    (state == JOURNAL_FREEING ||
		atomic_load(&board->slots[owner].session) == atomic_load(&record->session)))
		return false;
	/* An owner changes the state first, and ends its own session after that. */
	return atomic_load(&record->state) == word;
}

/* The time until which it is kept, as it is now. */
static uint64_t
journal_until(struct scoreboard *board, struct journal_kept *kept, const struct journal *journal,
    enum journal_state state, uint64_t now_ms, uint64_t stall_ms)
{
	bool is_forgotten = state == JOURNAL_FORGOTTEN;
	uint64_t keep_ms = journal_keep_ms(journal, state, stall_ms);
	uint64_t sent;
	uint32_t readers = journal_count_readers(board, journal, &sent);
	bool is_new = kept->generation != journal->generation || kept->state != state;

	if (is_new || (is_forgotten && kept->sent != sent))
		*kept = (struct journal_kept){
			.generation = journal->generation,
			.state = state,
			.until_ms = is_forgotten && stall_ms == 0 ? CLOCK_NEVER : now_ms + keep_ms,
			.sent = sent,
		};
	return is_forgotten && readers == 0 ? now_ms : kept->until_ms;
}

/* Looks at one. Returns when to look again. */
static uint64_t
journal_expire_one(struct scoreboard *board, struct journal_keeper *keeper, uint32_t index,
    uint64_t now_ms, uint64_t stall_ms)
{
	struct journal_record *record = &board->journals.records[index];
	uint64_t word = atomic_load(&record->state);
	enum journal_state state = (enum journal_state)(uint32_t)word;
	const struct journal journal = {
		.record = record,
		.index = index,
		.generation = (uint32_t)(word >> JOURNAL_GENERATION_SHIFT),
		.session = atomic_load(&record->session),
	};
	uint64_t until;

	if (journal_is_stray(board, record, word)) {
		(void)journal_inherit(board, index, "");
		return now_ms + JOURNAL_AGAIN_MS;
	}
	if (state != JOURNAL_ENDED && state != JOURNAL_LOST && state != JOURNAL_FORGOTTEN)
		return CLOCK_NEVER;
	until = journal_until(board, &keeper->kept[index], &journal, state, now_ms, stall_ms);
	if (now_ms < until)
		return until;
	/* Whoever is attached goes on to the end. */
	if (state != JOURNAL_FORGOTTEN && attachment_count(board, &journal) > 0)
		(void)journal_forget(board, &journal);
	else
		(void)journal_free(board, index, word, 0);
	return now_ms + JOURNAL_AGAIN_MS;
}

uint64_t
journal_expire(
    struct scoreboard *board, struct journal_keeper *keeper, uint64_t now_ms, uint64_t stall_ms)
{
	uint32_t claimer = atomic_load(&board->journals.claimer);
	uint64_t next_ms = CLOCK_NEVER;

	if (claimer > board->workers)
		(void)atomic_compare_exchange_strong(&board->journals.claimer, &claimer, 0);
	for (uint32_t i = 0; i < board->journal_count; i++)
		next_ms =
		    clock_sooner(next_ms, journal_expire_one(board, keeper, i, now_ms, stall_ms));
	return next_ms;
}
