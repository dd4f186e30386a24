/*
 * SPDX-License-Identifier: MIT
 */
#include "ctl/replay.h"

#include <string.h>

#include "platform/clock.h"

#define REPLAY_ESC 0x1b
#define REPLAY_ENQ 0x05
#define REPLAY_BEL 0x07

/* What ends a sequence that a terminal may answer: DA, DSR, DECRQM, XTVERSION, window
 * reports, the keyboard's state. Some of them mean other things as well. */
#define REPLAY_ASKING_FINALS "cnpqtux"

void
replay_begin(struct replay *replay)
{
	*replay = (struct replay){ .state = REPLAY_SHOWS, .due_ms = CLOCK_NEVER };
}

static void
replay_look_escape(struct replay *replay, uint8_t c)
{
	replay->text = REPLAY_PLAIN;
	if (c == '[')
		replay->text = REPLAY_CONTROL;
	else if (c == ']')
		replay->text = REPLAY_STRING;
	else if (c == 'Z' || c == 'P')
		replay->asks = true;
}

static void
replay_look_one(struct replay *replay, uint8_t c)
{
	if (c == REPLAY_ESC) {
		replay->text = REPLAY_ESCAPE;
		return;
	}
	switch (replay->text) {
	case REPLAY_PLAIN:
		replay->asks |= c == REPLAY_ENQ;
		break;
	case REPLAY_ESCAPE:
		replay_look_escape(replay, c);
		break;
	case REPLAY_CONTROL:
		if (c < '@')
			break;
		replay->asks |= c <= '~' && strchr(REPLAY_ASKING_FINALS, c) != NULL;
		replay->text = REPLAY_PLAIN;
		break;
	case REPLAY_STRING:
		replay->asks |= c == '?';
		if (c == REPLAY_BEL)
			replay->text = REPLAY_PLAIN;
		break;
	}
}

void
replay_look(struct replay *replay, const uint8_t *data, size_t len)
{
	for (size_t i = 0; i < len && !replay->asks; i++)
		replay_look_one(replay, data[i]);
}

bool
replay_end(struct replay *replay, uint64_t now_ms)
{
	replay->state = replay->asks ? REPLAY_IS_FENCED : REPLAY_IS_OVER;
	replay->fenced_at = replay->held_len;
	if (replay->asks)
		replay->due_ms = now_ms + REPLAY_MS;
	return replay->asks;
}

/* Drops what is in front of the answer, and that. Returns whether it is there. */
static bool
replay_find_answer(struct replay *replay)
{
	const size_t answer_len = strlen(REPLAY_ANSWER);
	uint8_t *answer = memmem(replay->held + replay->fenced_at,
	    replay->held_len - replay->fenced_at, REPLAY_ANSWER, answer_len);

	if (answer == NULL)
		return false;
	answer += answer_len;
	replay->held_len -= (size_t)(answer - replay->held);
	memmove(replay->held, answer, replay->held_len);
	return true;
}

bool
replay_hold(struct replay *replay, const uint8_t *typed, size_t len)
{
	memcpy(replay->held + replay->held_len, typed, len);
	replay->held_len += len;
	if (replay->state != REPLAY_IS_FENCED || !replay_find_answer(replay))
		return false;
	replay_give_up(replay);
	return true;
}

void
replay_give_up(struct replay *replay)
{
	replay->state = REPLAY_IS_OVER;
	replay->due_ms = CLOCK_NEVER;
}
