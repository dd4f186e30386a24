/*
 * durable_session: for tests of what readers and owner leave each other: one durable session
 * that runs.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TESTS_UNIT_DURABLE_SESSION_H
#define TESTS_UNIT_DURABLE_SESSION_H

#include "durable_board.h"
#include "shared/attachment.h"

#define SESSION 7
#define NAME "build"

/* Nobody who is woken waits for this. */
#define SLEEP_MAX_S 30

static struct journal journal;
static uint8_t buffer[JOURNAL_INPUT_AREA];

/* Setup of a cmocka test; the teardown is durable_drop(). */
static inline int
make(void **state)
{
	if (durable_make(state) < 0)
		return -1;
	journal = durable_start(SESSION, NAME, &durable_settings);
	return 0;
}

static inline uint64_t
published(void)
{
	return journal_input_bytes(atomic_load(&journal.record->input));
}

/* Attaches slot INDEX with the input. Returns the word that it found. */
static inline uint64_t
hold(uint32_t index)
{
	attachment_begin(board, index, &journal, 0, true);
	return attachment_take_input(board, index, &journal);
}

/* Puts TEXT into its area. */
static inline ssize_t
put(uint32_t index, const char *text)
{
	return attachment_put(board, index, &journal, (const uint8_t *)text, strlen(text));
}

#endif
