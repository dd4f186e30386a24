/*
 * follow: what of a durable session's journal goes next to one connection: what its
 * worker has to say in STATUS, the output from an offset on, what of it was lost, and the
 * end. The session's owner has one for its own host, each reader one for its.
 *
 *   - It never waits. One frame at most is under way, in conn_tx_buffer().
 *   - STATUS that was queued goes first, then output in order, one stream a frame.
 *   - What was overwritten before it could be sent is told, exact to the byte, between
 *     two frames.
 *   - The end is `exited` where it was asked for, the agent's own words on STDERR if
 *     there are any, and EXIT, the last frame.
 *   - The slot's attachment tells the owner how far it has come; see attachment.h.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SESSION_DURABLE_FOLLOW_H
#define SESSION_DURABLE_FOLLOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol/report.h"
#include "session/session.h"
#include "shared/journal.h"

/* STATUS that may stand in the queue at once. */
#define FOLLOW_NOTES_MAX 4

struct follow_note {
	char *text; /* owned */
	size_t len;
};

/* How far the end is. */
enum follow_end {
	FOLLOW_END_EXITED = 0,
	FOLLOW_END_WORDS,
	FOLLOW_END_EXIT,
	FOLLOW_END_OVER,
};

struct follow {
	struct session *session;
	const struct journal *journal;
	uint64_t offset;	/* behind the last byte that was given to the connection */
	uint64_t sent;		/* as the slot's attachment has it */
	bool report;		/* `exited` is wanted */
	bool is_holder;		/* of the session's input, when last looked at */
	bool is_behind;		/* it was overtaken, and has read nothing since */
	bool is_left;		/* no output is sent any more; see follow_leave() */
	bool detaches;		/* what is queued goes, then `detached`, and no more */
	const char *detach_why; /* NULL: it was asked for */
	bool has_last;		/* the last frame is under way, or has gone */
	bool waits;		/* for room, before EXIT */
	int error;		/* -errno: no more can be said */
	enum follow_end end;
	size_t notes_count;
	struct follow_note notes[FOLLOW_NOTES_MAX];
};

/* Begins at OFFSET, which the slot's attachment has as `sent` already. SESSION and JOURNAL
 * are borrowed until follow_done(). */
void follow_init(struct follow *follow, struct session *session, const struct journal *journal,
    uint64_t offset, bool report);

/* HOW, which has numbers, as STATUS `exited`; its texts are borrowed. */
void follow_read_end(const struct journal_end *how, struct report *ret);

/* Frees what is queued. */
void follow_done(struct follow *follow);

/* Queues the STATUS of REPORT, which goes before the next output. Where there is no memory
 * for it, follow_push() returns -ENOMEM. */
void follow_say(struct follow *follow, const struct report *report);

/* Ends the connection with STATUS `detached`, behind the frame under way and what is
 * queued: its offset is the first byte that was not sent. WHY, borrowed, says why where
 * the host did not ask for it. The session's admission is left as it is. */
void follow_detach(struct follow *follow, const char *why);

/* Whether this connection held the session's input until now, and another has taken it:
 * true once. The host is told so, and is a spectator's from then on. */
bool follow_has_lost_input(struct follow *follow);

/* Sends as much as the host takes, a few frames at most. Returns 0; 1 when the last frame
 * has gone whole; or, where the connection is to be closed without a further word, -EPIPE
 * (the host has gone), -ENOMEM, or -ESTALE (the journal is another session's by now). */
int follow_push(struct follow *follow);

/* Whether the host is to be waited for (POLLOUT). */
bool follow_wants_room(const struct follow *follow);

/* Whether another follow_push() would have something to send at once. */
bool follow_has_more(const struct follow *follow);

/* Whether all is sent that there is. Then the owner may read from the program into
 * conn_tx_buffer(), and when it has appended the LEN bytes that it read, have them sent
 * from there by follow_push_direct(), which returns what follow_push() does. */
bool follow_is_caught_up(const struct follow *follow);
int follow_push_direct(struct follow *follow, bool is_stderr, size_t len);

/* OUTPUT_ACK of this connection's host: all below OFFSET has arrived. Counts where the
 * connection holds the session's input, and where OFFSET is neither lower than before nor
 * above what was sent. */
void follow_ack(struct follow *follow, uint64_t offset);

/* The host has gone, or said that it goes: from here on no output is sent to it, and none
 * is kept from being overwritten for its sake. STATUS that is queued still goes. */
void follow_leave(struct follow *follow);

#endif
