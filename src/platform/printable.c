/*
 * SPDX-License-Identifier: MIT
 */
#include "platform/printable.h"

#include <stdint.h>
#include <string.h>

#define PRINTABLE_LEN_MAX 4

/* The first byte of a character of UTF-8 says how many follow. */
static size_t
printable_len(unsigned char first)
{
	if (first < 0xc0 || first > 0xf7)
		return 1;
	return first < 0xe0 ? 2 : first < 0xf0 ? 3 : PRINTABLE_LEN_MAX;
}

static bool
printable_is_control(uint32_t code)
{
	return code < 0x20 || (code >= 0x7f && code < 0xa0) || (code >= 0x2028 && code <= 0x202e) ||
	       (code >= 0x2066 && code <= 0x2069);
}

size_t
printable_next(const char *text, size_t len, bool *ret_control)
{
	const unsigned char *bytes = (const unsigned char *)text;
	size_t wanted = printable_len(bytes[0]);
	uint32_t code = wanted == 1 ? bytes[0] : bytes[0] & (0x7fu >> wanted);
	size_t i = 1;

	while (i < wanted && i < len && (bytes[i] & 0xc0) == 0x80)
		code = code << 6 | (bytes[i++] & 0x3f);
	/* A beginning alone is shown as it is; what follows is looked at for itself. */
	*ret_control = printable_is_control(i == wanted ? code : UINT32_MAX);
	return i == wanted ? wanted : 1;
}

size_t
printable_make(char *text, size_t len)
{
	size_t left = 0;

	for (size_t at = 0; at < len;) {
		bool is_control;
		size_t n = printable_next(text + at, len - at, &is_control);

		if (is_control)
			text[left++] = '?';
		else
			memmove(text + left, text + at, n);
		left += is_control ? 0 : n;
		at += n;
	}
	return left;
}
