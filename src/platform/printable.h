/*
 * printable: what a terminal obeys rather than shows, taken out of text that somebody
 * else chose. One rule for the log and for the client.
 *
 * Control characters are C0, DEL and C1 (ECMA-48), C1 alone in a byte too; the line and
 * paragraph separator, and what changes the direction of the text around it (Unicode
 * Standard Annex 9: embeddings, overrides and isolates), as a line must not read as
 * another than it is. In UTF-8 that is longer than it has to be they count as well.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PLATFORM_PRINTABLE_H
#define PLATFORM_PRINTABLE_H

#include <stdbool.h>
#include <stddef.h>

/* The length of the first character of the LEN bytes of TEXT, 1 to 4; LEN is not 0. A
 * byte that is not part of UTF-8 is one character. *RET_CONTROL: whether it is one of
 * the above. */
size_t printable_next(const char *text, size_t len, bool *ret_control);

/* Puts one '?' in place of each of them in the LEN bytes of TEXT. Returns how many
 * bytes are left. */
size_t printable_make(char *text, size_t len);

#endif
