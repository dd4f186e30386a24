/*
 * The owner's part of a journal's life: from the claim to the end.
 *
 * SPDX-License-Identifier: MIT
 */
#include "shared/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>

#include "platform/bell.h"
#include "platform/clock.h"
#include "shared/attachment.h"
#include "shared/journal_free.h"
#include "shared/scoreboard.h"
#include "shared/slot_lock.h"

/* A claim, while it holds the lock. */
struct journal_claim {
	struct scoreboard *board;
	uint32_t owner; /* slot index + 1 */
	const char *name;
	uint64_t needs; /* bytes of memory */
	uint32_t free;	/* index of a journal that is, or JOURNAL_COUNT */
	uint64_t held;	/* by all that are not free */
	uint32_t old;	/* index of the one to be given up first, or JOURNAL_COUNT */
};

/* Whether RECORD has the name, of a session that may still be asked for. */
static bool
journal_has_name(const struct journal_record *record, const char *name)
{
	uint32_t state = journal_state(record);

	return state >= JOURNAL_CLAIMED && state <= JOURNAL_LOST &&
	       strncmp(record->name, name, sizeof(record->name)) == 0;
}

/* Whether it may be given up: it is forgotten, or a host has all of it, and nobody is reading it.
 */
static bool
journal_is_done_with(const struct scoreboard *board, uint32_t index)
{
	const struct journal_record *record = &board->journals.records[index];
	uint64_t word = atomic_load(&record->state);
	uint32_t state = (uint32_t)word;
	const struct journal journal = {
		.index = index,
		.generation = (uint32_t)(word >> JOURNAL_GENERATION_SHIFT),
		.session = atomic_load(&record->session),
	};

	if (state != JOURNAL_FORGOTTEN && ((state != JOURNAL_ENDED && state != JOURNAL_LOST) ||
					      atomic_load(&record->fetched) == 0))
		return false;
	return attachment_count(board, &journal) == 0;
}

/* Which goes first of those that may be given up: what is forgotten is on its way to be free
 * (the supervisor sees to it), and after that the oldest. */
static uint64_t
journal_order(const struct journal_record *record)
{
	return journal_state(record) == JOURNAL_FORGOTTEN ? 0 : atomic_load(&record->ending);
}

/* Looks at all records. Returns 0, or -EEXIST with *RET_REFUSAL. */
static int
journal_survey(struct journal_claim *claim, struct journal_refusal *ret_refusal)
{
	const struct journal_record *records = claim->board->journals.records;

	claim->free = claim->old = JOURNAL_COUNT;
	claim->held = 0;
	for (uint32_t i = 0; i < claim->board->journal_count; i++) {
		const struct journal_record *record = &records[i];
		uint32_t buffer = record->settings.buffer_bytes;

		if (journal_state(record) == JOURNAL_FREE) {
			claim->free = i;
			continue;
		}
		if (journal_has_name(record, claim->name)) {
			ret_refusal->why = JOURNAL_NAME_IS_THERE;
			ret_refusal->session = atomic_load(&record->session);
			ret_refusal->runs = journal_state(record) <= JOURNAL_RUNS;
			return -EEXIST;
		}
		claim->held +=
		    journal_memory(buffer < JOURNAL_BUFFER_MAX ? buffer : JOURNAL_BUFFER_MAX);
		if (journal_is_done_with(claim->board, i) &&
		    (claim->old == JOURNAL_COUNT ||
			journal_order(record) < journal_order(&records[claim->old])))
			claim->old = i;
	}
	return 0;
}

/* Sees that a journal is free, and memory for it. Returns 0, or -errno with *RET_REFUSAL. */
static int
journal_make_room(struct journal_claim *claim, struct journal_refusal *ret_refusal)
{
	struct scoreboard *board = claim->board;

	for (uint32_t given_up = 0;; given_up++) {
		int r = journal_survey(claim, ret_refusal);

		if (r < 0)
			return r;
		if (claim->free < JOURNAL_COUNT && claim->needs <= board->journal_bytes_max &&
		    claim->held <= board->journal_bytes_max - claim->needs)
			return 0;
		if (claim->old == JOURNAL_COUNT || given_up == JOURNAL_COUNT)
			break;
		(void)journal_free(board, claim->old,
		    atomic_load(&board->journals.records[claim->old].state), claim->owner);
	}
	ret_refusal->why = claim->free < JOURNAL_COUNT ? JOURNAL_MEMORY_HELD : JOURNAL_ALL_KEPT;
	ret_refusal->bytes = claim->held;
	return -EBUSY;
}

/* Fills the free record in, which is nobody's; then it has the name. */
static void
journal_enter(const struct journal_claim *claim, uint64_t session,
    const struct journal_settings *settings, struct journal *ret)
{
	struct journal_record *record = &claim->board->journals.records[claim->free];
	uint64_t word = atomic_load(&record->state);
	const struct slot *slot = &claim->board->slots[claim->owner - 1];

	*ret = (struct journal){
		.record = record,
		.fd = claim->board->journal_fds[claim->free],
		.index = claim->free,
		.generation = (uint32_t)(word >> JOURNAL_GENERATION_SHIFT),
		.ring = journal_ring(settings->buffer_bytes),
		.map = MAP_FAILED,
		.session = session,
		.settings = *settings,
	};
	(void)strlcpy(ret->name, claim->name, sizeof(ret->name));
	memset((char *)record + sizeof(record->state), 0, sizeof(*record) - sizeof(record->state));
	atomic_store(&record->owner, claim->owner);
	atomic_store(&record->session, session);
	record->settings = *settings;
	memcpy(record->name, ret->name, sizeof(record->name));
	(void)strlcpy(record->user, slot->user, sizeof(record->user));
	(void)strlcpy(record->command, slot->command, sizeof(record->command));
	atomic_store(&record->state, journal_word(ret, JOURNAL_CLAIMED));
}

static int
journal_allocate_part(int fd, off_t offset, off_t len)
{
	while (fallocate(fd, 0, offset, len) < 0)
		if (errno != EINTR)
			return -errno;
	return 0;
}

/* The pages of ring and bitmap, so that no write has to ask for one; and a mapping of them: a
 * store is cheaper than a write(2), which looks up each page. Nobody but the owner has it,
 * for as long as its session runs. */
static int
journal_allocate(struct journal *journal)
{
	int r = journal_allocate_part(journal->fd, 0, journal->ring);

	if (r == 0)
		r = journal_allocate_part(journal->fd, JOURNAL_BITMAP_AT, journal->ring / 8);
	if (r < 0)
		return r;
	journal->map =
	    mmap(NULL, JOURNAL_INPUT_AT, PROT_READ | PROT_WRITE, MAP_SHARED, journal->fd, 0);
	if (journal->map == MAP_FAILED)
		return -errno;
	(void)madvise(journal->map, JOURNAL_INPUT_AT, MADV_DONTDUMP);
	return 0;
}

/* Does nothing to what is not mapped. */
static void
journal_unmap(const struct journal *journal)
{
	(void)munmap(journal->map, JOURNAL_INPUT_AT);
}

int
journal_claim(struct scoreboard *board, uint32_t slot_index, uint64_t session, const char *name,
    const struct journal_settings *settings, struct journal *ret,
    struct journal_refusal *ret_refusal)
{
	struct journal_claim claim = {
		.board = board,
		.owner = slot_index + 1,
		.name = name,
		.needs = journal_memory(settings->buffer_bytes),
	};
	int r;

	*ret_refusal = (struct journal_refusal){ .why = JOURNAL_NONE };
	if (board->journal_count == 0)
		return -ENOSYS;
	ret_refusal->why = JOURNAL_NAMES_LOCKED;
	r = slot_lock_take(&board->journals.claimer, board->workers, slot_index);
	if (r < 0)
		return r;
	r = journal_make_room(&claim, ret_refusal);
	if (r == 0)
		journal_enter(&claim, session, settings, ret);
	slot_lock_give(&board->journals.claimer, slot_index);
	if (r < 0)
		return r;
	r = journal_allocate(ret);
	if (r < 0) {
		ret_refusal->why = JOURNAL_NO_MEMORY;
		journal_unclaim(board, ret);
	}
	return r;
}

void
journal_unclaim(struct scoreboard *board, const struct journal *journal)
{
	journal_unmap(journal);
	journal_free(board, journal->index, journal_word(journal, JOURNAL_CLAIMED),
	    atomic_load(&journal->record->owner));
}

void
journal_begin(const struct journal *journal, int32_t pid, bool takes_input)
{
	struct journal_record *record = journal->record;
	uint64_t word = journal_word(journal, JOURNAL_CLAIMED);

	atomic_store(&record->pid, pid);
	atomic_store(&record->stdin_closed, !takes_input);
	record->started_ms = clock_shared_ms();
	(void)atomic_compare_exchange_strong(
	    &record->state, &word, journal_word(journal, JOURNAL_RUNS));
}

void
journal_finish(
    struct scoreboard *board, const struct journal *journal, const struct journal_end *how)
{
	struct journal_record *record = journal->record;
	uint64_t word = journal_word(journal, JOURNAL_RUNS);

	journal_unmap(journal);
	record->how = *how;
	atomic_store(&record->pid, 0);
	atomic_store(&record->ending, atomic_fetch_add(&board->journals.endings, 1) + 1);
	(void)atomic_compare_exchange_strong(
	    &record->state, &word, journal_word(journal, JOURNAL_ENDED));
	bell_ring(board->bell_fd);
}
