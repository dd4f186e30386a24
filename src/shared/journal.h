/*
 * journal: what a durable session leaves for its readers: its record in the scoreboard's
 * memory, and its output in a memfd that every worker has inherited. One process writes
 * it, the session's owner; any number read it, and none of them can hold it up.
 *
 * Offsets count the payload bytes of both output streams from 0. What stands in a record
 * or a memfd is a stranger's word to its reader: all of it is checked.
 *
 * Who may change a record: its state decides, and is changed by compare-and-swap alone.
 * A FREE one is the claimers', of whom one at a time looks for a name. One that is CLAIMED,
 * RUNS or is FREEING belongs to its owner, and to the supervisor when that has died. One
 * that has ENDED, is LOST or FORGOTTEN belongs to whoever's swap succeeds. Nobody waits for a
 * lock but claimers for each other.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SHARED_JOURNAL_H
#define SHARED_JOURNAL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* With fewer workers there are none: a durable session would hold the place of its program
 * and the one by which a host comes back, beside the reserved ones. */
#define JOURNAL_WORKERS_MIN 4

#define JOURNAL_COUNT 32
#define JOURNAL_NAME_MAX 64
#define JOURNAL_USER_MAX 32
#define JOURNAL_COMMAND_MAX 256
#define JOURNAL_WORDS_MAX 256 /* the agent's own, before EXIT; with the NUL behind them */
#define JOURNAL_REASON_MAX 16
#define JOURNAL_BUFFER_MIN (64u * 1024)
#define JOURNAL_BUFFER_MAX (16u * 1024 * 1024)
#define JOURNAL_READ_MAX (256u * 1024)	/* one append, one read */
#define JOURNAL_INPUT_AREA (64u * 1024) /* a slot's; see attachment.h */

/* A memfd: the ring; a bit for each byte of it, set for stderr; an input area for each
 * slot. All but what is in use is a hole. */
#define JOURNAL_PAGE 4096u
#define JOURNAL_RING_MAX (JOURNAL_BUFFER_MAX + JOURNAL_READ_MAX + 8 * JOURNAL_PAGE)
#define JOURNAL_BITMAP_AT JOURNAL_RING_MAX
#define JOURNAL_INPUT_AT (JOURNAL_BITMAP_AT + JOURNAL_RING_MAX / 8)

#define JOURNAL_GENERATION_SHIFT 32

enum journal_state {
	JOURNAL_FREE = 0,
	JOURNAL_CLAIMED, /* its program is being started */
	JOURNAL_RUNS,
	JOURNAL_ENDED,	   /* and the end is kept */
	JOURNAL_LOST,	   /* its owner has died; kept as well */
	JOURNAL_FORGOTTEN, /* no name or number leads to it; readers may still be attached */
	JOURNAL_FREEING,
};

enum journal_full {
	JOURNAL_FULL_ATTACHED = 0, /* what the holder was not sent is not overwritten */
	JOURNAL_FULL_DROP,	   /* the program never waits */
	JOURNAL_FULL_WAIT,	   /* what no ACK has covered is not overwritten */
};

/* What START asked for. No member is a bool or an enum: where others write, such a one may
 * hold what it must not. */
struct journal_settings {
	uint32_t buffer_bytes;	/* JOURNAL_BUFFER_MIN to _MAX */
	uint32_t keep_seconds;	/* how long the end is kept */
	uint32_t alone_seconds; /* 0: for ever */
	uint8_t when_full;	/* enum journal_full */
	uint8_t is_tty;
};

/* How the session ended. WORDS, if there are any, go to the host on STDERR before EXIT. */
struct journal_end {
	int32_t code;
	int32_t signal;
	char reason[JOURNAL_REASON_MAX];
	char words[JOURNAL_WORDS_MAX];
	uint8_t has_numbers; /* of `exited`; a session whose owner was lost has none */
	uint8_t output_held;
	uint8_t has_memory_peak;
	uint8_t has_oom_kills;
	uint64_t wall_ms;
	uint64_t user_ms;
	uint64_t system_ms;
	uint64_t max_rss_kb;
	uint64_t memory_peak_bytes;
	uint64_t oom_kills;
};

struct journal_record {
	_Atomic uint64_t state;	     /* generation, raised when it is freed | enum journal_state */
	_Atomic uint32_t owner;	     /* slot index + 1; 0: none */
	_Atomic uint32_t has_stderr; /* the bits count */
	_Atomic uint64_t session;    /* number */
	_Atomic uint64_t oldest;     /* the first byte that stands in the ring */
	_Atomic uint64_t end;	     /* behind the last */
	_Atomic uint64_t floor;	     /* see journal_oldest_offset() */
	_Atomic uint64_t input;	     /* see journal_input_bytes() */
	_Atomic uint64_t acked;	     /* everything below it has arrived at a host */
	_Atomic uint64_t ending;     /* which end it was, of all ends, from 1 */
	_Atomic uint32_t stdin_closed; /* the program takes no input (any more) */
	_Atomic uint32_t fetched;      /* a host has got EXIT whole */
	_Atomic uint32_t size;	       /* of the terminal: columns << 16 | rows */
	_Atomic uint32_t holder_place; /* slot + 1 that has the place laid by; 0: free */
	_Atomic uint32_t changes;      /* raised when a slot attaches, takes input or goes */
	_Atomic int32_t pid;
	uint64_t started_ms; /* CLOCK_MONOTONIC */
	char name[JOURNAL_NAME_MAX + 1];
	char user[JOURNAL_USER_MAX]; /* for STATUS, as the next: what the slot says */
	char command[JOURNAL_COMMAND_MAX + 1];
	struct journal_settings settings;
	struct journal_end how; /* counts in the states ENDED, LOST and FORGOTTEN */
};

/* All of them; a member of the scoreboard. The descriptors and what bounds them stand in
 * the part of the scoreboard that each process has a copy of. */
struct journals {
	_Atomic uint32_t claimer; /* slot index + 1 that is looking for a name; 0: none */
	_Atomic uint64_t endings;
	struct journal_record records[JOURNAL_COUNT];
};

struct scoreboard;

/* A journal, as one process knows it: NAME and SETTINGS are copies, and have been checked. */
struct journal {
	struct journal_record *record;
	int fd; /* borrowed: the process has it for life */
	uint32_t index;
	uint32_t generation;
	uint32_t ring; /* journal_ring() */
	uint8_t *map;  /* the owner's, of ring and bitmap */
	uint64_t session;
	struct journal_settings settings;
	char name[JOURNAL_NAME_MAX + 1];
};

/* ---- the set; journal.c -------------------------------------------------- */

/* The size of each memfd for an agent of WORKERS. */
static inline off_t
journal_file_size(uint32_t workers)
{
	return (off_t)JOURNAL_INPUT_AT + (off_t)workers * JOURNAL_INPUT_AREA;
}

static inline uint32_t
journal_whole_pages(uint32_t bytes)
{
	return (bytes + JOURNAL_PAGE - 1) & ~(JOURNAL_PAGE - 1);
}

/* How many bytes of output a journal of BUFFER_BYTES holds: one append more, and the few
 * that share a byte of the bitmap with the oldest. */
static inline uint32_t
journal_ring(uint32_t buffer_bytes)
{
	return journal_whole_pages(buffer_bytes + JOURNAL_READ_MAX + 8);
}

/* What it takes of board->journal_bytes_max. */
static inline uint64_t
journal_memory(uint32_t buffer_bytes)
{
	uint32_t ring = journal_ring(buffer_bytes);

	return (uint64_t)ring + journal_whole_pages(ring / 8);
}

static inline enum journal_state
journal_state(const struct journal_record *record)
{
	return (enum journal_state)(uint32_t)atomic_load(&record->state);
}

/* The word of JOURNAL's record when that is in STATE. */
static inline uint64_t
journal_word(const struct journal *journal, enum journal_state state)
{
	return (uint64_t)journal->generation << JOURNAL_GENERATION_SHIFT | state;
}

/* Opens the journal of INDEX where a session runs, has ended or was lost (and is not
 * forgotten). Returns 0 with *RET, or -ESRCH. */
int journal_open(struct scoreboard *board, uint32_t index, struct journal *ret);

/* The same, by number, or by NAME if that is not NULL. */
int journal_find(struct scoreboard *board, uint64_t session, const char *name, struct journal *ret);

/* Whether it is still that session's. */
bool journal_is_there(const struct journal *journal);

/* Whether it is, and is not forgotten. */
bool journal_is_kept(const struct journal *journal);

/* Whether the session runs: is neither ended nor lost. */
bool journal_is_running(const struct journal *journal);

/* Whether the session has ended or was lost; if so, and it is still there, how: texts with a
 * NUL at their end. What stands below journal_end_offset() from then on is all there will
 * be. */
bool journal_has_ended(const struct journal *journal, struct journal_end *ret);

/* The slot of the worker that writes it, or UINT32_MAX. */
uint32_t journal_owner(const struct scoreboard *board, const struct journal *journal);

/* Everything below OFFSET has arrived at the holder, who was sent it. What is lower than
 * before or beyond the end is ignored. Wakes the owner where it waits for that. */
void journal_ack(struct scoreboard *board, const struct journal *journal, uint64_t offset);

/* A host has got EXIT whole. */
void journal_set_fetched(const struct journal *journal);

/* ---- the owner: its life; journal_claim.c -------------------------------- */

enum journal_refusal_why {
	JOURNAL_NAME_IS_THERE, /* -EEXIST: SESSION, RUNS */
	JOURNAL_ALL_KEPT,      /* -EBUSY: all JOURNAL_COUNT are in use */
	JOURNAL_MEMORY_HELD,   /* -EBUSY: BYTES are held, and it would be too much */
	JOURNAL_NAMES_LOCKED,  /* -EBUSY: another claim took more than a second */
	JOURNAL_NONE,	       /* -ENOSYS: the agent has no journals */
	JOURNAL_NO_MEMORY,     /* -ENOMEM, -ENOSPC and others: the kernel has none */
};

struct journal_refusal {
	enum journal_refusal_why why;
	uint64_t session;
	bool runs;
	uint64_t bytes;
};

/* Claims a journal and NAME for SESSION, of the worker of SLOT_INDEX, and the memory. Where
 * none is free, or not enough memory, the oldest end that a host has fetched and that nobody
 * is attached to is given up. Waits for other claimers for at most a second. Returns 0 with
 * *RET, or an error as above with *RET_REFUSAL. */
int journal_claim(struct scoreboard *board, uint32_t slot_index, uint64_t session, const char *name,
    const struct journal_settings *settings, struct journal *ret,
    struct journal_refusal *ret_refusal);

/* The start has failed: name and journal are given back at once. */
void journal_unclaim(struct scoreboard *board, const struct journal *journal);

/* The program runs. Its input has no holder yet, not even the owner's own connection. */
void journal_begin(const struct journal *journal, int32_t pid, bool takes_input);

/* The session has ended: HOW, and all of its output stands. The supervisor's bell is rung,
 * who counts the time that it is kept. Wakes nobody else: see attachment_wake_all(). */
void journal_finish(
    struct scoreboard *board, const struct journal *journal, const struct journal_end *how);

/* ---- what is kept; journal_keep.c ---------------------------------------- */

/* FORGET: takes name and number away; the supervisor, whose bell is rung, frees it when
 * nobody is attached any more. Returns 0; -EBUSY: it runs; -ESRCH: it is not there. */
int journal_forget(struct scoreboard *board, const struct journal *journal);

/* The supervisor's own notes, all zero at first: what is kept until when. */
struct journal_kept {
	uint32_t generation;
	uint32_t state;
	uint64_t until_ms;
	uint64_t sent; /* to all that are attached */
};

struct journal_keeper {
	struct journal_kept kept[JOURNAL_COUNT];
};

/* Supervisor: the worker of SLOT_INDEX has died, and its slot has no other yet. What it had
 * claimed is freed; the session that it owned is lost, with EXIT 125 and WORDS. Returns
 * the index of that one, whose readers are to be woken (attachment_wake_all()), or
 * -ENOENT. */
int journal_lose(struct scoreboard *board, uint32_t slot_index, const char *words);

/* Supervisor, at each turn: frees what has been kept for its time, and what is forgotten
 * once nobody is attached, or nobody has taken a byte for STALL_MS (0: no limit). NOW_MS is
 * of any clock that goes forward. Returns when to come again, or CLOCK_NEVER. */
uint64_t journal_expire(
    struct scoreboard *board, struct journal_keeper *keeper, uint64_t now_ms, uint64_t stall_ms);

/* ---- the output; journal_ring.c ------------------------------------------ */

/* The owner appends LEN bytes, at most journal_room(), of one stream. Returns 0, or -EINVAL:
 * it is more than JOURNAL_READ_MAX. */
int journal_append(const struct journal *journal, bool is_stderr, const uint8_t *bytes, size_t len);

/* How many bytes the owner may append now, by `when_full`: at most JOURNAL_READ_MAX; 0 or at
 * least JOURNAL_ROOM_MIN. Where somebody holds it back these are what is left of
 * buffer_bytes, or, for the last of an ended program (IS_DRAINING), of all there is. It
 * grows only when the holder was sent more, has acknowledged more, or has gone: each wakes
 * the owner, if it sleeps (ATTACHMENT_ROOM, ATTACHMENT_CHANGE). */
#define JOURNAL_ROOM_MIN 4096
size_t journal_room(
    const struct scoreboard *board, const struct journal *journal, bool is_draining);

/* Copies from OFFSET on what is there of one stream, at most MAX (> 0) bytes. Returns the
 * length; 0: nothing is there yet; -ERANGE: OFFSET was overtaken, and it goes on at
 * *RET_OLDEST, which is beyond it; -ESTALE: it is another session's by now, or nonsense; or
 * -errno of pread(2). */
ssize_t journal_read(const struct journal *journal, uint64_t offset, uint8_t *buffer, size_t max,
    bool *ret_is_stderr, uint64_t *ret_oldest);

/* Behind the last byte. */
uint64_t journal_end_offset(const struct journal *journal);

/* The first byte that a reader who attaches now can count on; at least the last
 * buffer_bytes are above it. For one that wants the input: to be called after
 * attachment_begin(). The owner may be about to overwrite up to record->floor without
 * having seen it, and nothing beyond. */
uint64_t journal_oldest_offset(const struct journal *journal);

/* ---- the input's word ---------------------------------------------------- */

/* {epoch: 16 bits, is closed: 1 bit, published bytes: 47 bits}. The slot that raised the epoch
 * holds the input; bytes, and EOF, are the session's by a swap under their holder's epoch alone. */
#define JOURNAL_EPOCH_SHIFT 48
#define JOURNAL_INPUT_CLOSED (UINT64_C(1) << 47)
#define JOURNAL_INPUT_MAX (JOURNAL_INPUT_CLOSED - 1)

static inline uint64_t
journal_input_bytes(uint64_t word)
{
	return word & JOURNAL_INPUT_MAX;
}

static inline uint16_t
journal_input_epoch(uint64_t word)
{
	return (uint16_t)(word >> JOURNAL_EPOCH_SHIFT);
}

static inline bool
journal_input_is_closed(uint64_t word)
{
	return (word & JOURNAL_INPUT_CLOSED) != 0;
}

/* The owner takes LEN bytes that it has from the holder of EPOCH; with CLOSES, that is the
 * end of them. Returns whether they are the session's; if not, another holds the input, and
 * they are to be dropped. */
bool journal_publish(const struct journal *journal, uint16_t epoch, size_t len, bool closes);

/* Whether more input would be taken: EOF was not published, and the program has not closed
 * it. */
bool journal_takes_input(const struct journal *journal);

#endif
