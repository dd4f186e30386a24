/*
 * SPDX-License-Identifier: MIT
 */
#include "protocol/base64.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#define BASE64_PAD '='

static const char base64_alphabet[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void
base64_format(const uint8_t *bytes, size_t len, char *text)
{
	for (size_t i = 0; i < len; i += 3) {
		size_t have = len - i < 3 ? len - i : 3;
		uint32_t group = (uint32_t)bytes[i] << 16;

		if (have > 1)
			group |= (uint32_t)bytes[i + 1] << 8;
		if (have > 2)
			group |= bytes[i + 2];
		*text++ = base64_alphabet[group >> 18];
		*text++ = base64_alphabet[group >> 12 & 63];
		*text++ = have > 1 ? base64_alphabet[group >> 6 & 63] : BASE64_PAD;
		*text++ = have > 2 ? base64_alphabet[group & 63] : BASE64_PAD;
	}
	*text = '\0';
}

/* Reads a group of four characters. Returns how many bytes it has, or -EINVAL. */
static int
base64_parse_group(const char *text, uint8_t bytes[3])
{
	uint32_t group = 0;
	int have = 4;

	while (have > 0 && text[have - 1] == BASE64_PAD)
		have--;
	if (have < 2)
		return -EINVAL;
	for (int i = 0; i < 4; i++) {
		const char *at = i < have ? memchr(base64_alphabet, text[i], 64) : base64_alphabet;

		if (at == NULL)
			return -EINVAL;
		group = group << 6 | (uint32_t)(at - base64_alphabet);
	}
	bytes[0] = (uint8_t)(group >> 16);
	bytes[1] = (uint8_t)(group >> 8);
	bytes[2] = (uint8_t)group;
	if ((have == 2 && bytes[1] != 0) || (have == 3 && bytes[2] != 0))
		return -EINVAL;
	return have - 1;
}

ssize_t
base64_parse(const char *text, uint8_t *bytes, size_t size)
{
	size_t len = strlen(text);
	size_t done = 0;

	if (len % 4 != 0)
		return -EINVAL;
	for (size_t i = 0; i < len; i += 4) {
		uint8_t group[3];
		int have = base64_parse_group(text + i, group);

		if (have < 0 || (have < 3 && i + 4 < len))
			return -EINVAL;
		for (int j = 0; j < have && done < size; j++)
			bytes[done++] = group[j];
	}
	return (ssize_t)done;
}
