/*
 * STDIN on its way from a reader to the owner.
 *
 * SPDX-License-Identifier: MIT
 */
#include "shared/attachment.h"

#include <errno.h>

#include "platform/fd.h"
#include "shared/scoreboard.h"

/* How much stands in the area of ATTACHMENT, whose input WORD says what was published of; more
 * than fits where one of the two is nonsense. */
static uint64_t
attachment_waiting(const struct attachment *attachment, uint64_t word)
{
	return atomic_load(&attachment->input_written) - journal_input_bytes(word);
}

/* LEN, or less where the area's end comes before OFFSET + LEN. */
static size_t
attachment_first_part(uint64_t offset, uint64_t len)
{
	uint64_t left = JOURNAL_INPUT_AREA - offset % JOURNAL_INPUT_AREA;

	return (size_t)(left < len ? left : len);
}

static off_t
attachment_place(uint32_t index, uint64_t offset)
{
	return attachment_area(index) + (off_t)(offset % JOURNAL_INPUT_AREA);
}

ssize_t
attachment_put(struct scoreboard *board, uint32_t index, const struct journal *journal,
    const uint8_t *bytes, size_t len)
{
	struct attachment *attachment = &board->slots[index].attachment;
	uint64_t word = atomic_load(&journal->record->input);
	uint64_t waiting = attachment_waiting(attachment, word);
	uint64_t written = atomic_load(&attachment->input_written);
	int r;

	if (!attachment_holds(board, index, journal))
		return -EPERM;
	if (!journal_takes_input(journal))
		return (ssize_t)len;
	if (atomic_load(&attachment->eof) != 0)
		return 0;
	if (waiting > JOURNAL_INPUT_AREA)
		return -EPROTO;
	if (len > JOURNAL_INPUT_AREA - waiting)
		len = (size_t)(JOURNAL_INPUT_AREA - waiting);
	len = attachment_first_part(written, len);
	r = fd_pwrite_full(journal->fd, bytes, len, attachment_place(index, written));
	if (r < 0 || len == 0)
		return r;
	atomic_store(&attachment->input_written, written + len);
	attachment_wake_owner(board, journal, ATTACHMENT_CHANGE);
	return (ssize_t)len;
}

bool
attachment_put_eof(struct scoreboard *board, uint32_t index, const struct journal *journal)
{
	struct attachment *attachment = &board->slots[index].attachment;

	if (atomic_load(&attachment->eof) != 0)
		return false;
	atomic_store(&attachment->eof, atomic_load(&attachment->epoch));
	attachment_wake_owner(board, journal, ATTACHMENT_CHANGE);
	return true;
}

bool
attachment_is_settled(const struct scoreboard *board, uint32_t index, const struct journal *journal)
{
	const struct attachment *attachment = &board->slots[index].attachment;
	uint64_t word = atomic_load(&journal->record->input);

	return !attachment_holds(board, index, journal) || !journal_takes_input(journal) ||
	       !journal_is_running(journal) ||
	       (atomic_load(&attachment->eof) == 0 && attachment_waiting(attachment, word) == 0);
}

ssize_t
attachment_get(struct scoreboard *board, uint32_t index, const struct journal *journal,
    uint8_t *buffer, size_t max)
{
	struct attachment *attachment = &board->slots[index].attachment;
	uint64_t word = atomic_load(&journal->record->input);
	uint64_t len;
	ssize_t n;

	/* First: what it has written counts from then on. */
	if (!attachment_holds(board, index, journal))
		return 0;
	len = attachment_waiting(attachment, word);
	if (len == 0 || len > JOURNAL_INPUT_AREA)
		return 0;
	if (len > max)
		len = max;
	len = attachment_first_part(journal_input_bytes(word), len);
	n = fd_pread_full(
	    journal->fd, buffer, (size_t)len, attachment_place(index, journal_input_bytes(word)));
	if (n <= 0)
		return n;
	/* Still the same reader's, of the same epoch, which alone can be published. */
	atomic_thread_fence(memory_order_seq_cst);
	if (!attachment_holds(board, index, journal) ||
	    !journal_publish(journal, journal_input_epoch(word), (size_t)n, false))
		return 0;
	attachment_wake(board, index, ATTACHMENT_INPUT);
	return n;
}

bool
attachment_get_eof(
    struct scoreboard *board, uint32_t index, const struct journal *journal, bool closes)
{
	struct attachment *attachment = &board->slots[index].attachment;
	uint64_t word = atomic_load(&journal->record->input);
	uint32_t epoch = atomic_load(&attachment->eof);

	if (epoch == 0 || epoch != journal_input_epoch(word) ||
	    !attachment_holds(board, index, journal) || attachment_waiting(attachment, word) != 0 ||
	    !journal_publish(journal, (uint16_t)epoch, 0, closes))
		return false;
	/* It may be another's by now. */
	(void)atomic_compare_exchange_strong(&attachment->eof, &epoch, 0);
	attachment_wake(board, index, ATTACHMENT_INPUT);
	return true;
}

void
attachment_close_input(struct scoreboard *board, const struct journal *journal)
{
	atomic_store(&journal->record->stdin_closed, 1);
	attachment_wake_all(board, journal->index, ATTACHMENT_INPUT);
}
