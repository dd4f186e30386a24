/*
 * The output: a ring of bytes, and beside it a ring of bits that say which stream each byte
 * is of. It is read as with a seqlock: the writer publishes the new oldest byte before it
 * overwrites any, and the end after it has written; a reader copies first, and then looks
 * whether what it has copied still stood.
 *
 * The length of the ring is a multiple of 8 bytes of the bitmap, and the oldest byte is at
 * the begin of one once the ring has come round: so no byte of the bitmap holds bits of both
 * ends.
 *
 * SPDX-License-Identifier: MIT
 */
#include "shared/journal.h"

#include <endian.h>
#include <errno.h>
#include <string.h>

#include "platform/fd.h"
#include "shared/attachment.h"
#include "shared/scoreboard.h"

#define JOURNAL_BYTE 8 /* bits */
#define JOURNAL_WORD 64

/* Bytes of the bitmap that are looked at for one read. */
#define JOURNAL_BITS_CHUNK 8192

static uint64_t
journal_round_up(uint64_t offset)
{
	return (offset + JOURNAL_BYTE - 1) & ~(uint64_t)(JOURNAL_BYTE - 1);
}

static uint64_t
journal_round_down(uint64_t offset)
{
	return offset & ~(uint64_t)(JOURNAL_BYTE - 1);
}

/* ---- append ------------------------------------------------------------ */

/* What the oldest byte is when LEN follow on END. */
static uint64_t
journal_oldest_for(const struct journal *journal, uint64_t end, size_t len)
{
	return end + len > journal->ring ? journal_round_up(end + len - journal->ring) : 0;
}

/* Writes LEN bytes and their bits, which do not go round the ring. */
static void
journal_write(const struct journal *journal, size_t position, bool is_stderr, const uint8_t *bytes,
    size_t len)
{
	uint8_t *bits = journal->map + JOURNAL_BITMAP_AT + position / JOURNAL_BYTE;
	uint8_t kept = (uint8_t)((1U << position % JOURNAL_BYTE) - 1);
	uint8_t value = is_stderr ? UINT8_MAX : 0;

	memcpy(journal->map + position, bytes, len);
	/* Until anything comes on stderr all of the bitmap is zero. */
	if (atomic_load_explicit(&journal->record->has_stderr, memory_order_relaxed) == 0)
		return;
	/* In one store: the bits below are being read. */
	*bits = (uint8_t)((*bits & kept) | (value & ~kept));
	memset(bits + 1, value, (position % JOURNAL_BYTE + len - 1) / JOURNAL_BYTE);
}

int
journal_append(const struct journal *journal, bool is_stderr, const uint8_t *bytes, size_t len)
{
	struct journal_record *record = journal->record;
	uint64_t end = atomic_load(&record->end);
	uint64_t oldest = journal_oldest_for(journal, end, len);
	size_t position = (size_t)(end % journal->ring);
	size_t first = journal->ring - position;

	if (len > JOURNAL_READ_MAX)
		return -EINVAL;
	if (first > len)
		first = len;
	if (is_stderr)
		atomic_store(&record->has_stderr, 1);
	if (oldest > atomic_load(&record->oldest)) {
		atomic_store(&record->oldest, oldest);
		atomic_thread_fence(memory_order_seq_cst);
	}
	if (first > 0)
		journal_write(journal, position, is_stderr, bytes, first);
	if (len > first)
		journal_write(journal, 0, is_stderr, bytes + first, len - first);
	atomic_store(&record->end, end + len);
	return 0;
}

/* Up to where nobody needs the output any more; UINT64_MAX: all of it. */
static uint64_t
journal_limit(const struct scoreboard *board, const struct journal *journal)
{
	switch (journal->settings.when_full) {
	case JOURNAL_FULL_WAIT:
		return atomic_load(&journal->record->acked);
	case JOURNAL_FULL_ATTACHED:
		return attachment_holder_sent(board, journal);
	default:
		return UINT64_MAX;
	}
}

size_t
journal_room(const struct scoreboard *board, const struct journal *journal, bool is_draining)
{
	struct journal_record *record = journal->record;
	uint64_t end = atomic_load(&record->end);
	uint64_t oldest = atomic_load(&record->oldest);
	uint64_t most = journal_oldest_for(journal, end, JOURNAL_READ_MAX);
	uint64_t usable = is_draining ? journal->ring : journal->settings.buffer_bytes;
	uint64_t limit;
	uint64_t floor;

	/* Said first, and then looked which readers are there: one that has attached by then
	 * is seen, and one that comes later sees the floor. */
	atomic_thread_fence(memory_order_seq_cst);
	for (int i = 0;; i++) {
		limit = journal_round_down(journal_limit(board, journal));
		if (limit < oldest)
			limit = oldest;
		floor = limit < most ? limit : most;
		if (i > 0 || floor <= atomic_load(&record->floor))
			break;
		atomic_store(&record->floor, floor);
		atomic_thread_fence(memory_order_seq_cst);
	}
	atomic_store(&record->floor, floor);
	if (limit >= journal_round_down(end))
		return JOURNAL_READ_MAX;
	if (end - limit + JOURNAL_ROOM_MIN > usable)
		return 0;
	usable -= end - limit;
	return usable < JOURNAL_READ_MAX ? (size_t)usable : JOURNAL_READ_MAX;
}

/* ---- read -------------------------------------------------------------- */

/* How many bits of BYTES, from bit FROM to bit END, are in a row as IS_STDERR says. Up to a word
 * behind END is looked at. */
static size_t
journal_count_bits(const uint8_t *bytes, size_t from, size_t end, bool is_stderr)
{
	size_t at = from;
	uint64_t differ = 0;

	while (at < end && differ == 0) {
		unsigned skip = at % JOURNAL_BYTE;

		memcpy(&differ, &bytes[at / JOURNAL_BYTE], sizeof(differ));
		differ = (le64toh(differ) ^ (is_stderr ? UINT64_MAX : 0)) >> skip;
		at += differ != 0 ? (unsigned)__builtin_ctzll(differ) : JOURNAL_WORD - skip;
	}
	return (at < end ? at : end) - from;
}

/* Which stream the byte at POSITION is of, and how many of LEN are of it in a row, as far as one
 * look goes. Returns that number, or -errno. */
static ssize_t
journal_measure_run(const struct journal *journal, size_t position, size_t len, bool *ret_is_stderr)
{
	uint8_t chunk[JOURNAL_BITS_CHUNK + JOURNAL_WORD / JOURNAL_BYTE];
	size_t from = position % JOURNAL_BYTE;
	size_t end = from + len;
	size_t want;
	ssize_t n;

	if (end > JOURNAL_BITS_CHUNK * JOURNAL_BYTE)
		end = JOURNAL_BITS_CHUNK * JOURNAL_BYTE;
	want = (end + JOURNAL_BYTE - 1) / JOURNAL_BYTE;
	memset(chunk + want, 0, JOURNAL_WORD / JOURNAL_BYTE);
	n = fd_pread_full(
	    journal->fd, chunk, want, JOURNAL_BITMAP_AT + (off_t)(position / JOURNAL_BYTE));
	if (n != (ssize_t)want)
		return n < 0 ? n : -EIO;
	*ret_is_stderr = (chunk[0] >> from & 1) != 0;
	return (ssize_t)journal_count_bits(chunk, from, end, *ret_is_stderr);
}

/* OFFSET has been overtaken: where it goes on. */
static int
journal_skip(const struct journal *journal, uint64_t oldest, uint64_t *ret_oldest)
{
	if (oldest > journal_end_offset(journal) || !journal_is_there(journal))
		return -ESTALE;
	*ret_oldest = oldest;
	return -ERANGE;
}

ssize_t
journal_read(const struct journal *journal, uint64_t offset, uint8_t *buffer, size_t max,
    bool *ret_is_stderr, uint64_t *ret_oldest)
{
	const struct journal_record *record = journal->record;
	uint64_t end = atomic_load(&record->end);
	uint64_t oldest = atomic_load(&record->oldest);
	size_t position = (size_t)(offset % journal->ring);
	size_t len = journal->ring - position;
	bool is_stderr = false;
	ssize_t n;

	if (offset < oldest)
		return journal_skip(journal, oldest, ret_oldest);
	if (offset >= end)
		return journal_is_there(journal) ? 0 : -ESTALE;
	if (len > max)
		len = max;
	if (len > end - offset)
		len = (size_t)(end - offset);
	n = (ssize_t)len;
	if (atomic_load(&record->has_stderr) != 0)
		n = journal_measure_run(journal, position, len, &is_stderr);
	if (n > 0)
		n = fd_pread_full(journal->fd, buffer, (size_t)n, (off_t)position);
	if (n <= 0)
		return n < 0 ? n : -EIO;
	/* All of it stood while it was copied if it stands now. */
	atomic_thread_fence(memory_order_seq_cst);
	oldest = atomic_load(&record->oldest);
	if (!journal_is_there(journal))
		return -ESTALE;
	if (offset < oldest)
		return journal_skip(journal, oldest, ret_oldest);
	*ret_is_stderr = is_stderr;
	return n;
}

uint64_t
journal_end_offset(const struct journal *journal)
{
	return atomic_load(&journal->record->end);
}

uint64_t
journal_oldest_offset(const struct journal *journal)
{
	const struct journal_record *record = journal->record;
	uint64_t oldest = atomic_load(&record->oldest);
	uint64_t floor = atomic_load(&record->floor);
	uint64_t end = atomic_load(&record->end);

	if (journal->settings.when_full == JOURNAL_FULL_ATTACHED && floor > oldest &&
	    journal_is_running(journal))
		oldest = floor;
	return oldest < end ? oldest : end;
}
