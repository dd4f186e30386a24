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

/* The keys that leave a session which goes on without us. The program gets none of them
 * until it is plain that they are not these: with the next key, or after KEYS_MS. The first
 * of them twice is one for the program. */
#define KEYS_DETACH_MAX 8
#define KEYS_DETACH_DEFAULT "ctrl-],d"
#define KEYS_TEXT_MAX (KEYS_DETACH_MAX * 8)

struct keys_detach {
	uint8_t keys[KEYS_DETACH_MAX];
	unsigned count;	 /* 0: there are none, all that is typed is the program's */
	unsigned typed;	 /* how many of them have been typed so far */
	uint64_t due_ms; /* when these go to the program; CLOCK_NEVER where there are none */
};

/* Reads keys with commas between them, each a character or "ctrl-" and one ("ctrl-]",
 * "^]"), or "none". Returns 0 or -EINVAL. */
int keys_parse_detach(const char *text, struct keys_detach *ret);

/* Writes "Ctrl-] d" to TEXT of KEYS_TEXT_MAX bytes. */
void keys_format_detach(const struct keys_detach *detach, char *text);

/* Puts what is the program's of the LEN bytes that were typed into OUT, which has room for
 * KEYS_DETACH_MAX more. Returns how much that is; *RET_LEAVES: whether the keys are
 * complete, and what is behind them is nobody's. */
size_t keys_take_typed(struct keys_detach *detach, const uint8_t *typed, size_t len,
    uint64_t now_ms, uint8_t *out, bool *ret_leaves);

/* What is due at NOW_MS because no further key came, into OUT of KEYS_DETACH_MAX bytes.
 * Returns how much that is. */
size_t keys_take_due(struct keys_detach *detach, uint64_t now_ms, uint8_t *out);

#endif
