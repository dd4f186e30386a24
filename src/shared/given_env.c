/*
 * SPDX-License-Identifier: MIT
 */
#include "shared/given_env.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "shared/slot_lock.h"

/* The word: how many bytes there are, and above that how often it has changed, whose lowest
 * bit says which text it is. */
#define GIVEN_ENV_TURN_SHIFT 32

/* How often a text may be overtaken while it is copied. Twice in a row is rare. */
#define GIVEN_ENV_TRIES 100

static size_t
given_env_which(uint64_t word)
{
	return word >> GIVEN_ENV_TURN_SHIFT & 1;
}

/* Returns the length of TEXT, or -E2BIG. */
static ssize_t
given_env_write(char text[VMM_GUEST_ENV_MAX], const struct start_env *env, size_t count)
{
	size_t len = 0;

	for (size_t i = 0; i < count; i++) {
		size_t name_len = strlen(env[i].name);
		size_t value_size = strlen(env[i].value) + 1;

		if (name_len + 1 + value_size > VMM_GUEST_ENV_MAX - len)
			return -E2BIG;
		memcpy(text + len, env[i].name, name_len);
		text[len + name_len] = '=';
		memcpy(text + len + name_len + 1, env[i].value, value_size);
		len += name_len + 1 + value_size;
	}
	return (ssize_t)len;
}

int
given_env_set(struct scoreboard *board, uint32_t index, const struct start_env *env, size_t count)
{
	struct scoreboard_given_env *given = &board->given_env;
	uint64_t turn;
	ssize_t len;
	int r = slot_lock_take(&given->writer, board->workers, index);

	if (r < 0)
		return r;
	turn = (atomic_load(&given->word) >> GIVEN_ENV_TURN_SHIFT) + 1;
	/* Whoever sees what is written now sees the word before it, too. */
	atomic_thread_fence(memory_order_seq_cst);
	len = given_env_write(given->texts[turn & 1], env, count);
	if (len >= 0)
		atomic_store(&given->word, turn << GIVEN_ENV_TURN_SHIFT | (uint64_t)len);
	slot_lock_give(&given->writer, index);
	return len < 0 ? (int)len : 0;
}

void
given_env_free_dead(struct scoreboard *board, uint32_t index)
{
	slot_lock_give(&board->given_env.writer, index);
}

int
given_env_read(const struct scoreboard *board, char **ret_text, size_t *ret_len)
{
	const struct scoreboard_given_env *given = &board->given_env;
	uint64_t word = atomic_load(&given->word);
	char *text;

	for (int i = 0; i < GIVEN_ENV_TRIES; i++) {
		size_t len = (uint32_t)word;
		uint64_t seen = word;

		*ret_text = NULL;
		*ret_len = len;
		/* What is longer was written by nobody. */
		if (len == 0 || len > VMM_GUEST_ENV_MAX)
			return 0;
		text = malloc(len);
		if (text == NULL)
			return -ENOMEM;
		memcpy(text, given->texts[given_env_which(word)], len);
		atomic_thread_fence(memory_order_seq_cst);
		word = atomic_load(&given->word);
		if (word == seen) {
			text[len - 1] = '\0';
			*ret_text = text;
			return 0;
		}
		free(text);
	}
	return -EAGAIN;
}
