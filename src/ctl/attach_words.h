/*
 * attach_words: what comes on STDERR where it may be the agent's own words: why it could not
 * serve, or lost the program's worker. They are told from what a program says by the EXIT that
 * follows (PROTOCOL.md, Ends), and are held until then.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CTL_ATTACH_WORDS_H
#define CTL_ATTACH_WORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ctl/core/client.h"

#define ATTACH_WORDS_MAX 1024 /* the agent has no longer ones */

/* Zero-initialised, it is ready for use. */
struct attach_words {
	char text[ATTACH_WORDS_MAX];
	size_t len;	 /* 0: nothing is held */
	uint64_t due_ms; /* when it is shown, whatever follows, by clock_mono_ms() */
	bool has_begun;	 /* the program: what comes now is its own, mostly */
};

/* Holds a copy of PIECE, of STDERR, where it may be the agent's. Returns false if it is the
 * program's. Nothing may be held. */
bool attach_words_hold(struct attach_words *words, const struct client_piece *piece);

/* They are the program's: *RET is what was held, in WORDS, until more is. Returns whether there
 * was something. */
bool attach_words_release(struct attach_words *words, struct client_piece *ret);

/* The session is over, by END (zeros: without one): prints what is held to standard error, the
 * agent's words with this program's name in front and nothing in them that is not printable. */
void attach_words_say(struct attach_words *words, const struct frame_exit *end);

#endif
