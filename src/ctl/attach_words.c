/*
 * attach_words: words that may be the agent's own, until what follows tells.
 *
 * SPDX-License-Identifier: MIT
 */
#include "ctl/attach_words.h"

#include <stdio.h>
#include <string.h>

#include "ctl/command.h"
#include "platform/clock.h"

#define ATTACH_WORDS_LOST "worker lost: "

/* What a program says first that an older agent, without STATUS, has started waits no longer. */
#define ATTACH_WORDS_MS 200

/* What the agent ends a session with that it could not serve. */
static bool
attach_words_end_with(const struct frame_exit *end)
{
	return end->signal == 0 && end->code >= VMM_GUEST_EXIT_AGENT &&
	       end->code <= VMM_GUEST_EXIT_NOT_FOUND;
}

bool
attach_words_hold(struct attach_words *words, const struct client_piece *piece)
{
	size_t lost_len = sizeof(ATTACH_WORDS_LOST) - 1;
	bool is_lost =
	    piece->len >= lost_len && memcmp(piece->data, ATTACH_WORDS_LOST, lost_len) == 0;

	if (!piece->first || !piece->last || piece->len == 0 || piece->len >= sizeof(words->text) ||
	    (words->has_begun && !is_lost))
		return false;
	memcpy(words->text, piece->data, piece->len);
	words->text[piece->len] = '\0';
	words->len = piece->len;
	words->due_ms = clock_mono_ms() + ATTACH_WORDS_MS;
	return true;
}

bool
attach_words_release(struct attach_words *words, struct client_piece *ret)
{
	if (words->len == 0)
		return false;
	*ret = (struct client_piece){
		.type = VMM_GUEST_STDERR, .data = (const uint8_t *)words->text, .len = words->len
	};
	words->len = 0;
	words->has_begun = true;
	return true;
}

void
attach_words_say(struct attach_words *words, const struct frame_exit *end)
{
	if (words->len == 0)
		return;
	if (attach_words_end_with(end)) {
		words->text[strcspn(words->text, "\n")] = '\0';
		(void)command_fail("%s", words->text);
	} else {
		(void)fwrite(words->text, 1, words->len, stderr);
	}
	words->len = 0;
}
