/*
 * owner: the worker that runs a durable session's program, and what it does with the
 * session's journal: it appends the output, takes the input of whoever holds it, and serves
 * the connection that the session was started on as one reader of several.
 *
 * It waits for no host, neither its own nor another worker's. What of the output may be
 * read, and when, follows from `when_full`; what the program's pipes hold at the end goes
 * to a part of the ring that is kept free while it runs, so that neither a host that has
 * stopped nor one that never comes back holds up the end: only a program that made its pipe
 * larger than that does.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SESSION_DURABLE_OWNER_H
#define SESSION_DURABLE_OWNER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "session/durable/follow.h"
#include "session/session.h"
#include "shared/journal.h"

/* How far the connection is that the session was started on. */
enum owner_host {
	OWNER_HOST_ATTACHED = 0,
	OWNER_HOST_DETACHING, /* `detached` is on its way, and nothing more is read */
	OWNER_HOST_LEAVING,   /* it has gone; the frames that came before are acted on */
	OWNER_HOST_LINGERS,   /* it was told all, and has a moment to close */
	OWNER_HOST_GONE,
};

struct owner {
	struct session *session;
	enum owner_host host; /* of the connection that began it */
	int linger_ms;	      /* that it has to close */
	uint16_t epoch;	      /* of the input, under which that connection writes */
	bool is_direct;	      /* what is read from the program goes to it without a copy */
	bool is_deaf;	      /* that connection takes nothing any more */
	bool is_ahead;	      /* of that connection, which does not keep pace */
	bool is_draining;     /* the program has ended, and what its pipes hold is read */
	bool has_input;	      /* the holder may have left more */
	bool has_changed;     /* somebody came or went since the last look */
	bool has_appended;    /* since the last look */
	size_t untold;	      /* bytes that were appended since readers were last woken */
	uint32_t others;      /* that are attached, besides that connection */
	bool is_alone;	      /* nobody is attached */
	size_t room;	      /* to read from the program, when last looked at */
	uint32_t changes;     /* of the record, when last looked at */
	uint32_t size_seen;   /* of the holder's RESIZEs */
	int holder;	      /* slot of the reader that holds the input; < 0: none */
	struct journal journal;
	struct follow follow; /* for that connection */
};

/* What a session begins with. */
struct owner_start {
	int32_t pid;
	bool takes_input;
	bool report;	  /* that connection wants `exited` */
	uint16_t columns; /* of the terminal; 0 */
	uint16_t rows;
};

/* The program of a journal that was claimed runs: from here on it has readers, of which the
 * session's connection is the first, and holds the input. It is told `started`. */
void owner_begin(struct owner *owner, const struct owner_start *start);

/* Right before a wait: says that this worker sleeps, and looks which hosts are attached,
 * which holds the input, and what may be read from the program; owner_rise() after it. */
void owner_look(struct owner *owner);
void owner_rise(struct owner *owner);

/* ---- the output ----------------------------------------------------------- */

/* Looks anew how much may be read from the program. */
void owner_update_room(struct owner *owner);

/* How many bytes may be read from the program now, and where to. */
static inline size_t
owner_room(const struct owner *owner)
{
	return owner->room;
}
uint8_t *owner_buffer(struct owner *owner);

/* Whether nothing is read as long as the own host, which holds the input, keeps pace, so that
 * all of it can go from one buffer: where it has taken nothing for a moment, owner_go_ahead(). */
bool owner_keeps_pace(const struct owner *owner);
void owner_go_ahead(struct owner *owner);

/* Appends LEN bytes that were read there. Returns 0 or -errno: the journal is of no more
 * use. */
int owner_take_output(struct owner *owner, bool is_stderr, size_t len);

/* Whether the program's pipes are to stay as small as they are: nobody may come for
 * what they hold. */
bool owner_keeps_pipes_small(const struct owner *owner);

/* From here on all of the ring may be used. */
void owner_drain(struct owner *owner);

/* The session has ended like that, and the program is reaped. */
void owner_finish(struct owner *owner, const struct journal_end *how);

/* ---- the input ------------------------------------------------------------ */

/* LEN bytes of the own host's STDIN, or with CLOSES its EOF, are the session's now. False:
 * another holds the input, and they are to be dropped. */
bool owner_publish(struct owner *owner, size_t len, bool closes);

/* Whether what the own host sends for the program counts. */
bool owner_host_holds(const struct owner *owner);

/* The next bytes, at most MAX, of the reader that holds the input: borrowed until the next
 * read from the program. 0: none. */
size_t owner_next_input(struct owner *owner, size_t max, const uint8_t **ret);

/* Whether that one has sent EOF behind them; CLOSES as of attachment_get_eof(). */
bool owner_next_eof(struct owner *owner, bool closes);

/* Its next signal, or 0. */
int owner_next_signal(struct owner *owner);

/* Whether it has another size. *RET_IS_FIRST: it is the first of that holder. */
bool owner_next_size(
    struct owner *owner, uint16_t *ret_columns, uint16_t *ret_rows, bool *ret_is_first);

/* The terminal has that size. */
void owner_set_size(struct owner *owner, uint16_t columns, uint16_t rows);

/* The program takes no more input. */
void owner_close_input(struct owner *owner);

/* ---- the own host --------------------------------------------------------- */

/* What to wait for on its connection (poll(2)'s events) where READS says that its frames may
 * be taken; -1: it is not to be looked at. */
int owner_host_events(const struct owner *owner, bool reads);

/* Whether there is more to do at once: to send to it, to take from a reader, or to tell
 * one. */
bool owner_has_more(const struct owner *owner);

/* Sends what it takes; HAS_ROOM says that POLLOUT has shown. Returns whether the
 * connection's last frame has gone. */
bool owner_push(struct owner *owner, bool has_room);

/* It asked for DETACH, or WHY says why it can't stay. */
void owner_detach(struct owner *owner, const char *why);

/* It sends no more, and with IS_DEAF takes nothing either: what it had sent before is still to
 * be acted on, until owner_let_go(): if it is not deaf it is told `detached`. */
void owner_leave(struct owner *owner, bool is_deaf);
void owner_let_go(struct owner *owner);

/* Ends its connection: closes it, or where it was told all, leaves it LINGER_MS to close
 * itself, if they are more than 0: then it LINGERS until owner_hang_up(). */
void owner_close(struct owner *owner);

/* It lingers, and there is something to read. */
void owner_linger(struct owner *owner);

/* Closes it. */
void owner_hang_up(struct owner *owner);

/* After the session's end: serves it as any other reader, until it has all or has gone. Returns
 * false where the journal was given up before, and the host can still be told so. */
bool owner_see_off(struct owner *owner);

/* Frees what is OWNER's. */
void owner_done(struct owner *owner);

#endif
