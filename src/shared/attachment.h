/*
 * attachment: what a reader of a durable session and the session's owner leave each other
 * in the reader's slot: how far the reader is, the input that it brings, and who sleeps.
 * The connection that started the session is such a reader too, in the owner's own slot.
 *
 * A bell is SIGUSR1 (slot_wake.h), and is rung for sleepers alone. A process that is about
 * to sleep says so, and for what (attachment_sleep()), looks once more whether that is there,
 * and waits with the mask that lets SIGUSR1 through. The functions here that change what
 * another waits for wake that one.
 *
 * STDIN goes through the reader's slot's own area of the journal's memfd, a ring by the
 * offset of the input: no other process ever writes there, so that a holder that was
 * stopped, and wakes up late, spoils nothing.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SHARED_ATTACHMENT_H
#define SHARED_ATTACHMENT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "shared/journal.h"

/* What is slept for, and has come. */
enum attachment_reason {
	ATTACHMENT_OUTPUT = 1, /* bytes were appended */
	ATTACHMENT_INPUT = 2,  /* something of the slot's own input was taken */
	ATTACHMENT_ROOM = 4,   /* the holder was sent, or has acknowledged, more */
	ATTACHMENT_CHANGE = 8, /* all else: attach, takeover, detach, input, end, FORGET */
};

/* As `sent`: the host has gone. No output is kept for it; what it had sent may still be
 * on its way to the program. */
#define ATTACHMENT_LEFT UINT64_MAX

/* A member of struct slot. The reader writes it; the owner what is marked so. */
struct attachment {
	_Atomic uint64_t session;	/* 0: attached to none */
	_Atomic uint32_t journal;	/* index */
	_Atomic uint32_t generation;	/* of the journal */
	_Atomic uint32_t epoch;		/* of the input that it holds, or held; 0: never */
	_Atomic uint32_t wants_input;	/* is about to hold it */
	_Atomic uint32_t sleeps;	/* reasons to wake it, and a number; the waker clears it */
	_Atomic uint32_t eof;		/* its epoch: EOF follows the bytes; the owner clears it */
	_Atomic uint64_t sent;		/* output was sent up to this offset */
	_Atomic uint64_t input_written; /* input stands in the area up to this offset */
	_Atomic uint64_t resize;	/* sequence << 32 | columns << 16 | rows */
	_Atomic uint64_t signals;	/* a queue of bytes; the owner takes them out */
};

struct scoreboard;

/* Where the input area of slot INDEX begins in a journal's memfd. */
static inline off_t
attachment_area(uint32_t index)
{
	return (off_t)JOURNAL_INPUT_AT + (off_t)index * JOURNAL_INPUT_AREA;
}

/* ---- the reader ---------------------------------------------------------- */

/* The worker of slot INDEX attaches to JOURNAL, and has been sent everything below OFFSET.
 * With WANTS_INPUT it is taken for the holder, as to what may be overwritten, from now
 * on. Then journal_oldest_offset() says where it can begin. */
void attachment_begin(struct scoreboard *board, uint32_t index, const struct journal *journal,
    uint64_t offset, bool wants_input);

/* Takes the input from whoever holds it: from now on nothing of that one is published. Waits
 * for nobody; wakes all who are attached, and the owner. Returns the input's word as it was:
 * how much was published, and whether EOF was. */
uint64_t attachment_take_input(
    struct scoreboard *board, uint32_t index, const struct journal *journal);

/* The slot INDEX is attached to nothing any more; there may be nothing. Its worker says so,
 * or the supervisor once that has died (before scoreboard_clear_slot()). Wakes the owner. */
void attachment_end(struct scoreboard *board, uint32_t index);

/* Output was sent up to OFFSET; or ATTACHMENT_LEFT. Wakes the owner if it waits for that. */
void attachment_set_sent(
    struct scoreboard *board, uint32_t index, const struct journal *journal, uint64_t offset);

/* Whether slot INDEX holds JOURNAL's input now. */
bool attachment_holds(
    const struct scoreboard *board, uint32_t index, const struct journal *journal);

/* Puts STDIN where the owner finds it. Returns how much of LEN was taken, maybe a part though
 * there is room for more; all of it where the session takes no more input (it is dropped); 0: wait
 * until the owner wakes us; -EPERM: another holds the input; -EPROTO: the record is nonsense; or
 * -errno of pwrite(2). */
ssize_t attachment_put(struct scoreboard *board, uint32_t index, const struct journal *journal,
    const uint8_t *bytes, size_t len);

/* EOF follows what was put; until the owner has taken it attachment_put() returns 0. Returns
 * false where an earlier one has not been taken yet: wait until the owner wakes us. */
bool attachment_put_eof(struct scoreboard *board, uint32_t index, const struct journal *journal);

/* Whether everything that was put, EOF too, is published, or never will be: the input is
 * closed, or another's. */
bool attachment_is_settled(
    const struct scoreboard *board, uint32_t index, const struct journal *journal);

/* SIGNAL, 1 to 64. Returns false if the queue is full: wait until the owner wakes us. */
bool attachment_put_signal(
    struct scoreboard *board, uint32_t index, const struct journal *journal, int signal);

/* Whether one of them is still in the queue. */
bool attachment_has_signals(const struct scoreboard *board, uint32_t index);

/* RESIZE; the last one counts. */
void attachment_put_size(struct scoreboard *board, uint32_t index, const struct journal *journal,
    uint16_t columns, uint16_t rows);

/* ---- the owner ----------------------------------------------------------- */

/* The index of the slot that holds the input, or -ENOENT. */
int attachment_holder(const struct scoreboard *board, const struct journal *journal);

/* How many slots are attached whose host has not left. */
uint32_t attachment_count(const struct scoreboard *board, const struct journal *journal);

/* Whether slot INDEX is attached to JOURNAL. */
bool attachment_is_of(
    const struct scoreboard *board, uint32_t index, const struct journal *journal);

/* Up to which offset the output was sent to everybody who holds the input or is about to;
 * UINT64_MAX: nobody does. */
uint64_t attachment_holder_sent(const struct scoreboard *board, const struct journal *journal);

/* Takes input from slot INDEX, at most MAX bytes, and publishes it. Returns how much is the
 * program's by now, maybe not all that is there; 0: nothing is there, or it was not the holder's;
 * or -errno of pread(2). */
ssize_t attachment_get(struct scoreboard *board, uint32_t index, const struct journal *journal,
    uint8_t *buffer, size_t max);

/* Whether slot INDEX, the holder, has said EOF, and everything before it was taken: then it
 * is published; with CLOSES, the input is closed for good (not on a terminal). */
bool attachment_get_eof(
    struct scoreboard *board, uint32_t index, const struct journal *journal, bool closes);

/* The program has closed its input: whoever holds it hears of it. */
void attachment_close_input(struct scoreboard *board, const struct journal *journal);

/* The next signal, 1 to 64, that slot INDEX asks for, or 0. */
int attachment_get_signal(struct scoreboard *board, uint32_t index, const struct journal *journal);

/* Whether slot INDEX has another size than the one of SEEN (0 at first), which is updated. */
bool attachment_get_size(const struct scoreboard *board, uint32_t index,
    const struct journal *journal, uint32_t *seen, uint16_t *ret_columns, uint16_t *ret_rows);

/* ---- sleep and wake ------------------------------------------------------ */

/* The worker of slot INDEX is about to sleep until one of REASONS (a mask) comes: it looks
 * again after this. */
void attachment_sleep(struct scoreboard *board, uint32_t index, uint32_t reasons);

/* It is awake, whatever woke it. */
void attachment_rise(struct scoreboard *board, uint32_t index);

/* Wakes the worker of slot INDEX if it sleeps for one of REASONS. */
void attachment_wake(struct scoreboard *board, uint32_t index, uint32_t reasons);

/* Wakes JOURNAL's owner likewise. */
void attachment_wake_owner(
    struct scoreboard *board, const struct journal *journal, uint32_t reasons);

/* Wakes all that are attached to the journal of JOURNAL_INDEX, and its owner, likewise. */
void attachment_wake_all(struct scoreboard *board, uint32_t journal_index, uint32_t reasons);

#endif
