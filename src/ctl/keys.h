/*
 * keys: what is typed on a raw terminal that is meant for us and not for the program.
 * Pure: the time is the caller's.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CTL_KEYS_H
#define CTL_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The way out of a session that ends with its connection, where the guest hangs:
 * KEYS_ESCAPE, typed KEYS_ESCAPE_COUNT times within KEYS_MS. The program gets the
 * first ones all the same. */
#define KEYS_ESCAPE 0x1d /* Ctrl-] */
#define KEYS_ESCAPE_COUNT 3
#define KEYS_MS 1000

/* Zero-initialised it is ready for use. */
struct keys_escape {
	unsigned count;
	uint64_t first_ms; /* when the first of them came */
};

/* Whether the LEN bytes that were typed complete it. */
bool keys_complete_escape(
    struct keys_escape *escape, const uint8_t *typed, size_t len, uint64_t now_ms);

#endif
