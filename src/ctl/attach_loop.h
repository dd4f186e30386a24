/*
 * attach_loop: what the parts of attach share: attach.c has the loop, attach_stdin.c what
 * is read of standard input, attach_durable.c what is different where the session outlives
 * its connection.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CTL_ATTACH_LOOP_H
#define CTL_ATTACH_LOOP_H

#include "ctl/attach.h"
#include "ctl/attach_words.h"
#include "ctl/core/outbox.h"
#include "ctl/output.h"
#include "ctl/reconnect.h"
#include "ctl/replay.h"

struct attach {
	struct client *client;
	const struct attach_options *options;
	struct attach_result *result;
	bool is_over;
	bool tty; /* the program has a terminal */

	struct outbox outbox;
	bool agent_listens; /* false once a send has failed: its words may still come */

	bool stdin_is_open;
	bool eof_is_due; /* of a session that ends with its connection; see struct resend */
	bool resize_is_due;
	int signal_due;
	int signal_passed;
	uint64_t signaled_ms; /* when the last signal came that was passed on */
	struct keys_escape escape;

	struct output outputs[2];
	struct client_piece piece; /* what is left of it: piece.len */
	const struct output *piece_output;
	struct attach_words words;
	struct client_piece behind; /* those, and not taken yet: behind.type */

	struct durable *session; /* NULL: the session ends with its connection */
	struct keys_detach keys;
	struct replay replay;
	struct reconnect reconnect;
	bool awaits_attached; /* ATTACH was sent and not answered: nothing else goes out */
	bool detach_is_due;
	uint64_t leave_ms; /* by when we leave, answer or not; CLOCK_NEVER: we do not */
};

/* ---- attach.c */

void attach_end(struct attach *attach, enum attach_end end, int signal);

/* The connection is of no use any more, for -ERROR of ctl/core/client.h. */
void attach_lose(struct attach *attach, int error);

/* From now on the terminal, if there is one here, is the program's. */
void attach_use_terminal(struct attach *attach);

/* ---- attach_stdin.c */

/* Whether something is to be read. */
bool attach_wants_stdin(const struct attach *attach);

/* Reads a piece: into the outbox, or for a durable session into what can be sent again. */
void attach_read_stdin(struct attach *attach);

/* What was held while old output was shown is typed. */
void attach_type_held(struct attach *attach);

/* Takes keys that turned out to be the program's, and puts what is to go out of a durable
 * session's input into the outbox, which is empty. Returns whether there was something. */
void attach_take_late_keys(struct attach *attach);
bool attach_put_input(struct attach *attach);

/* ---- attach_durable.c: for durable sessions alone */

void attach_durable_begin(struct attach *attach);
void attach_durable_done(struct attach *attach);

/* Whether attach_lose() is not the end: we come back, or were about to leave. */
bool attach_durable_lose(struct attach *attach, int error);

/* Takes PIECE. Returns whether attach.c has to as well; what is not to be shown of it is
 * gone by then. */
bool attach_durable_take(struct attach *attach, struct client_piece *piece);

/* Puts a frame that is due into the outbox, which is empty. Returns whether there was one. */
bool attach_durable_put(struct attach *attach);

/* Begins to leave: what was typed goes out first, if that can be. */
void attach_durable_leave(struct attach *attach);

/* When attach_durable_act() has something to do, and what that is. */
uint64_t attach_durable_due_ms(const struct attach *attach);
void attach_durable_act(struct attach *attach);

/* Something was shown: all that was asked for, or all that is old? */
void attach_durable_shown(struct attach *attach);

#endif
