/*
 * utf8: names that a guest chose, made fit for JSON.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PROTOCOL_UTF8_H
#define PROTOCOL_UTF8_H

#include <stdbool.h>
#include <stddef.h>

/* Whether the string TEXT is well-formed UTF-8, as below. */
bool utf8_is_valid(const char *text);

/* Copies the string TEXT to OUT of SIZE bytes, with U+FFFD in place of each byte that is
 * not part of well-formed UTF-8 (RFC 3629: no surrogates, no overlong forms, nothing above
 * U+10FFFF); cut at a character's end if it does not fit. Three bytes of OUT for each of
 * TEXT, and one, are always enough. Returns the length without the NUL. */
size_t utf8_make_valid(const char *text, char *out, size_t size);

#endif
