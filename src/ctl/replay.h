/*
 * replay: output of a terminal session that is shown a second time. In it a program may
 * have asked the terminal something (where the cursor is, what colours there are): it was
 * answered then, and the answers that come now must not be typed into whatever runs.
 * Pure: it writes nothing and reads no clock.
 *
 * While old output is shown, what is typed is held. Where it asked for something,
 * REPLAY_FENCE is then asked as well: what is typed in front of the answer to that is
 * dropped. A terminal that does not answer within REPLAY_MS answers nothing, and all that
 * was held is typed.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CTL_REPLAY_H
#define CTL_REPLAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define REPLAY_HELD_MAX 4096
#define REPLAY_MS 1000

/* "Device status report": is it well? It is. See console_codes(4). */
#define REPLAY_FENCE "\033[5n"
#define REPLAY_ANSWER "\033[0n"

enum replay_state {
	REPLAY_IS_OVER = 0,
	REPLAY_SHOWS,
	REPLAY_IS_FENCED,
};

enum replay_text {
	REPLAY_PLAIN = 0,
	REPLAY_ESCAPE,	/* behind ESC */
	REPLAY_CONTROL, /* in a sequence that begins with CSI */
	REPLAY_STRING,	/* in one of OSC */
};

/* Zero-initialised it is over. */
struct replay {
	enum replay_state state;
	enum replay_text text;
	bool asks;	  /* something that a terminal answers has come */
	uint64_t due_ms;  /* when a fence is waited for no longer; CLOCK_NEVER: there is none */
	size_t fenced_at; /* what was held before is not the answer */
	size_t held_len;
	uint8_t held[REPLAY_HELD_MAX];
};

/* Old output is shown from now on. */
void replay_begin(struct replay *replay);

/* Looks at LEN bytes of it. */
void replay_look(struct replay *replay, const uint8_t *data, size_t len);

/* All of it was shown. Returns whether the fence is to be written, by NOW_MS. */
bool replay_end(struct replay *replay, uint64_t now_ms);

/* Whether what is typed is held, and how much of it can be. */
static inline bool
replay_holds(const struct replay *replay)
{
	return replay->state != REPLAY_IS_OVER;
}

static inline size_t
replay_room(const struct replay *replay)
{
	return sizeof(replay->held) - replay->held_len;
}

/* Holds what was typed, for which there is room. Returns whether that is over, as the answer
 * has come, and what is left in HELD is to be typed. */
bool replay_hold(struct replay *replay, const uint8_t *typed, size_t len);

/* It is over, and what is in HELD is to be typed. */
void replay_give_up(struct replay *replay);

#endif
