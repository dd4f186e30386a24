/*
 * SPDX-License-Identifier: MIT
 */
#include "shared/attachment.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "platform/bell.h"
#include "shared/scoreboard.h"
#include "shared/slot_wake.h"

/* The queue of signals: a byte each, the next one lowest; above them the session's number, as
 * far as it goes, so that nothing is ever taken out for another. */
#define ATTACHMENT_SIGNALS 6
#define ATTACHMENT_BYTE 8
#define ATTACHMENT_QUEUE_BITS (ATTACHMENT_SIGNALS * ATTACHMENT_BYTE)
#define ATTACHMENT_QUEUE ((UINT64_C(1) << ATTACHMENT_QUEUE_BITS) - 1)

#define ATTACHMENT_SIGNAL_MAX 64

/* A sleeper's word: its reasons, and above them how often it has slept. */
#define ATTACHMENT_REASONS UINT32_C(0xf)
#define ATTACHMENT_SLEEP (ATTACHMENT_REASONS + 1)

/* Of the word of RESIZE. */
#define ATTACHMENT_SEQUENCE_SHIFT 32
#define ATTACHMENT_COLUMNS_SHIFT 16

/* ---- sleep and wake ---------------------------------------------------- */

void
attachment_sleep(struct scoreboard *board, uint32_t index, uint32_t reasons)
{
	_Atomic uint32_t *sleeps = &board->slots[index].attachment.sleeps;
	uint32_t word = atomic_load(sleeps) & ~ATTACHMENT_REASONS;

	atomic_store(sleeps, word + ATTACHMENT_SLEEP + (reasons & ATTACHMENT_REASONS));
	atomic_thread_fence(memory_order_seq_cst);
}

void
attachment_rise(struct scoreboard *board, uint32_t index)
{
	(void)atomic_fetch_and(&board->slots[index].attachment.sleeps, ~ATTACHMENT_REASONS);
}

void
attachment_wake(struct scoreboard *board, uint32_t index, uint32_t reasons)
{
	struct slot *slot = &board->slots[index];
	uint32_t word;

	atomic_thread_fence(memory_order_seq_cst);
	word = atomic_load(&slot->attachment.sleeps);
	if ((word & reasons & ATTACHMENT_REASONS) == 0)
		return;
	/* The word goes last: if we die, stand still or fail before, others wake it. By now it may
	 * sleep anew. */
	if (slot_wake(slot) == 0)
		(void)atomic_compare_exchange_strong(
		    &slot->attachment.sleeps, &word, word & ~ATTACHMENT_REASONS);
}

void
attachment_wake_owner(struct scoreboard *board, const struct journal *journal, uint32_t reasons)
{
	uint32_t owner = journal_owner(board, journal);

	if (owner != UINT32_MAX)
		attachment_wake(board, owner, reasons);
}

void
attachment_wake_all(struct scoreboard *board, uint32_t journal_index, uint32_t reasons)
{
	const struct journal journal = {
		.record = &board->journals.records[journal_index % JOURNAL_COUNT],
		.index = journal_index,
	};

	for (uint32_t i = 0; i < board->workers; i++) {
		const struct attachment *attachment = &board->slots[i].attachment;

		/* Not before what it is woken for stands: it may be attaching. */
		if (atomic_load(&attachment->session) != 0 &&
		    atomic_load(&attachment->journal) == journal_index)
			attachment_wake(board, i, reasons);
	}
	attachment_wake_owner(board, &journal, reasons);
}

/* ---- who is there ------------------------------------------------------ */

bool
attachment_is_of(const struct scoreboard *board, uint32_t index, const struct journal *journal)
{
	const struct attachment *attachment = &board->slots[index].attachment;

	return atomic_load(&attachment->session) == journal->session &&
	       atomic_load(&attachment->journal) == journal->index &&
	       atomic_load(&attachment->generation) == journal->generation;
}

uint32_t
attachment_count(const struct scoreboard *board, const struct journal *journal)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < board->workers; i++)
		count += attachment_is_of(board, i, journal) &&
			 atomic_load(&board->slots[i].attachment.sent) != ATTACHMENT_LEFT;
	return count;
}

/* Whether slot INDEX took the input when WORD came to be. */
static bool
attachment_has_epoch(
    const struct scoreboard *board, uint32_t index, const struct journal *journal, uint64_t word)
{
	uint16_t epoch = journal_input_epoch(word);

	return epoch != 0 && attachment_is_of(board, index, journal) &&
	       atomic_load(&board->slots[index].attachment.epoch) == epoch;
}

bool
attachment_holds(const struct scoreboard *board, uint32_t index, const struct journal *journal)
{
	return attachment_has_epoch(board, index, journal, atomic_load(&journal->record->input));
}

int
attachment_holder(const struct scoreboard *board, const struct journal *journal)
{
	uint64_t word = atomic_load(&journal->record->input);

	for (uint32_t i = 0; i < board->workers; i++)
		if (attachment_has_epoch(board, i, journal, word))
			return (int)i;
	return -ENOENT;
}

uint64_t
attachment_holder_sent(const struct scoreboard *board, const struct journal *journal)
{
	uint64_t word = atomic_load(&journal->record->input);
	uint64_t least = UINT64_MAX;

	for (uint32_t i = 0; i < board->workers; i++) {
		const struct attachment *attachment = &board->slots[i].attachment;
		uint64_t sent;

		/* Most slots are attached to nothing. */
		if (!attachment_is_of(board, i, journal) ||
		    (atomic_load(&attachment->wants_input) == 0 &&
			!attachment_has_epoch(board, i, journal, word)))
			continue;
		sent = atomic_load(&attachment->sent);
		least = sent < least ? sent : least;
	}
	return least;
}

/* ---- the reader -------------------------------------------------------- */

/* Somebody has come, gone, or taken the input. */
static void
attachment_tell(struct scoreboard *board, const struct journal *journal)
{
	(void)atomic_fetch_add(&journal->record->changes, 1);
	attachment_wake_owner(board, journal, ATTACHMENT_CHANGE);
}

void
attachment_begin(struct scoreboard *board, uint32_t index, const struct journal *journal,
    uint64_t offset, bool wants_input)
{
	struct attachment *attachment = &board->slots[index].attachment;

	atomic_store(&attachment->journal, journal->index);
	atomic_store(&attachment->generation, journal->generation);
	atomic_store(&attachment->epoch, 0);
	atomic_store(&attachment->wants_input, wants_input);
	attachment_rise(board, index);
	atomic_store(&attachment->eof, 0);
	atomic_store(&attachment->sent, offset);
	atomic_store(&attachment->input_written, 0);
	atomic_store(&attachment->resize, 0);
	atomic_store(&attachment->signals, journal->session << ATTACHMENT_QUEUE_BITS);
	/* Last: from here on it counts. */
	atomic_store(&attachment->session, journal->session);
	attachment_tell(board, journal);
}

uint64_t
attachment_take_input(struct scoreboard *board, uint32_t index, const struct journal *journal)
{
	struct attachment *attachment = &board->slots[index].attachment;
	const uint64_t next = UINT64_C(1) << JOURNAL_EPOCH_SHIFT;
	uint64_t word = atomic_fetch_add(&journal->record->input, next);

	/* The number of those who never held it is passed over. */
	if (journal_input_epoch(word + next) == 0)
		word = atomic_fetch_add(&journal->record->input, next);
	atomic_store(&attachment->input_written, journal_input_bytes(word));
	atomic_store(&attachment->eof, 0);
	atomic_store(&attachment->epoch, journal_input_epoch(word + next));
	atomic_store(&attachment->wants_input, 0);
	(void)atomic_fetch_add(&journal->record->changes, 1);
	attachment_wake_all(board, journal->index, ATTACHMENT_CHANGE);
	return word;
}

/* Gives back what the slot's area of the memfd holds. */
static void
attachment_clear_area(const struct scoreboard *board, uint32_t index, uint32_t journal_index)
{
	(void)fallocate(board->journal_fds[journal_index],
	    FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, attachment_area(index), JOURNAL_INPUT_AREA);
}

void
attachment_end(struct scoreboard *board, uint32_t index)
{
	struct attachment *attachment = &board->slots[index].attachment;
	uint32_t journal_index = atomic_load(&attachment->journal);
	uint64_t session = atomic_exchange(&attachment->session, 0);
	const struct journal journal = {
		.record = &board->journals.records[journal_index % JOURNAL_COUNT],
		.index = journal_index,
	};

	attachment_rise(board, index);
	if (session == 0 || journal_index >= board->journal_count)
		return;
	if (atomic_load(&attachment->epoch) != 0)
		attachment_clear_area(board, index, journal_index);
	attachment_tell(board, &journal);
	if (journal_state(journal.record) == JOURNAL_FORGOTTEN)
		bell_ring(board->bell_fd);
}

void
attachment_set_sent(
    struct scoreboard *board, uint32_t index, const struct journal *journal, uint64_t offset)
{
	atomic_store(&board->slots[index].attachment.sent, offset);
	if (offset == ATTACHMENT_LEFT)
		attachment_tell(board, journal);
	else if (journal->settings.when_full == JOURNAL_FULL_ATTACHED &&
		 attachment_holds(board, index, journal))
		attachment_wake_owner(board, journal, ATTACHMENT_ROOM);
}

bool
attachment_put_signal(
    struct scoreboard *board, uint32_t index, const struct journal *journal, int signal)
{
	_Atomic uint64_t *signals = &board->slots[index].attachment.signals;
	uint64_t word = atomic_load(signals);
	uint64_t next;
	unsigned shift;

	do {
		for (shift = 0; shift < ATTACHMENT_QUEUE_BITS; shift += ATTACHMENT_BYTE)
			if ((word >> shift & UINT8_MAX) == 0)
				break;
		if (shift == ATTACHMENT_QUEUE_BITS)
			return false;
		next = word | (uint64_t)(uint8_t)signal << shift;
	} while (!atomic_compare_exchange_weak(signals, &word, next));
	attachment_wake_owner(board, journal, ATTACHMENT_CHANGE);
	return true;
}

bool
attachment_has_signals(const struct scoreboard *board, uint32_t index)
{
	return (atomic_load(&board->slots[index].attachment.signals) & ATTACHMENT_QUEUE) != 0;
}

void
attachment_put_size(struct scoreboard *board, uint32_t index, const struct journal *journal,
    uint16_t columns, uint16_t rows)
{
	_Atomic uint64_t *resize = &board->slots[index].attachment.resize;
	uint32_t sequence = (uint32_t)(atomic_load(resize) >> ATTACHMENT_SEQUENCE_SHIFT) + 1;

	if (sequence == 0)
		sequence = 1;
	atomic_store(resize, (uint64_t)sequence << ATTACHMENT_SEQUENCE_SHIFT |
				 (uint32_t)columns << ATTACHMENT_COLUMNS_SHIFT | rows);
	attachment_wake_owner(board, journal, ATTACHMENT_CHANGE);
}

/* ---- the owner --------------------------------------------------------- */

int
attachment_get_signal(struct scoreboard *board, uint32_t index, const struct journal *journal)
{
	_Atomic uint64_t *signals = &board->slots[index].attachment.signals;
	const uint64_t number = journal->session << ATTACHMENT_QUEUE_BITS;
	uint64_t word = atomic_load_explicit(signals, memory_order_relaxed);

	while ((word & ATTACHMENT_QUEUE) != 0 && (word & ~ATTACHMENT_QUEUE) == number) {
		uint64_t rest = (word & ATTACHMENT_QUEUE) >> ATTACHMENT_BYTE;
		int signal = (int)(word & UINT8_MAX);

		if (!atomic_compare_exchange_weak(signals, &word, number | rest))
			continue;
		attachment_wake(board, index, ATTACHMENT_INPUT);
		if (signal > 0 && signal <= ATTACHMENT_SIGNAL_MAX)
			return signal;
		word = number | rest;
	}
	return 0;
}

bool
attachment_get_size(const struct scoreboard *board, uint32_t index, const struct journal *journal,
    uint32_t *seen, uint16_t *ret_columns, uint16_t *ret_rows)
{
	uint64_t word = atomic_load(&board->slots[index].attachment.resize);
	uint32_t sequence = (uint32_t)(word >> ATTACHMENT_SEQUENCE_SHIFT);

	if (sequence == *seen || !attachment_is_of(board, index, journal))
		return false;
	*seen = sequence;
	*ret_columns = (uint16_t)(word >> ATTACHMENT_COLUMNS_SHIFT);
	*ret_rows = (uint16_t)word;
	return true;
}
