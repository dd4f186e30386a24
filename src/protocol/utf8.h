/*
 * utf8: which bytes are characters.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PROTOCOL_UTF8_H
#define PROTOCOL_UTF8_H

#include <stdbool.h>
#include <stddef.h>

/* The length of the character that begins the string CHARACTER; 0 if it is not well-formed
 * UTF-8 (RFC 3629: no surrogates, no overlong forms, nothing above U+10FFFF), or there is none. */
size_t utf8_character_len(const char *character);

/* Whether the string TEXT is well-formed UTF-8. */
bool utf8_is_valid(const char *text);

#endif
