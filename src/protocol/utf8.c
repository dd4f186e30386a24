/*
 * SPDX-License-Identifier: MIT
 */
#include "protocol/utf8.h"

#include <string.h>

#define UTF8_REPLACEMENT "\xef\xbf\xbd"
#define UTF8_REPLACEMENT_LEN 3

/* Table 3-7 of the Unicode standard: what may follow which first byte. */
static const struct utf8_form {
	unsigned char first_min, first_max;
	unsigned char second_min, second_max;
	unsigned char len;
} utf8_forms[] = {
	{ 0x01, 0x7f, 0x00, 0x00, 1 },
	{ 0xc2, 0xdf, 0x80, 0xbf, 2 },
	{ 0xe0, 0xe0, 0xa0, 0xbf, 3 },
	{ 0xe1, 0xec, 0x80, 0xbf, 3 },
	{ 0xed, 0xed, 0x80, 0x9f, 3 },
	{ 0xee, 0xef, 0x80, 0xbf, 3 },
	{ 0xf0, 0xf0, 0x90, 0xbf, 4 },
	{ 0xf1, 0xf3, 0x80, 0xbf, 4 },
	{ 0xf4, 0xf4, 0x80, 0x8f, 4 },
};

/* The length of the well-formed character at TEXT, or 0. A NUL ends all of them, as it is
 * not a continuation byte. */
static size_t
utf8_character_len(const unsigned char *text)
{
	for (size_t i = 0; i < sizeof(utf8_forms) / sizeof(utf8_forms[0]); i++) {
		const struct utf8_form *form = &utf8_forms[i];

		if (text[0] < form->first_min || text[0] > form->first_max)
			continue;
		if (form->len > 1 && (text[1] < form->second_min || text[1] > form->second_max))
			return 0;
		for (size_t k = 2; k < form->len; k++) {
			if ((text[k] & 0xc0) != 0x80)
				return 0;
		}
		return form->len;
	}
	return 0;
}

bool
utf8_is_valid(const char *text)
{
	while (*text != '\0') {
		size_t len = utf8_character_len((const unsigned char *)text);

		if (len == 0)
			return false;
		text += len;
	}
	return true;
}

size_t
utf8_make_valid(const char *text, char *out, size_t size)
{
	size_t len = 0;

	if (size == 0)
		return 0;
	while (*text != '\0') {
		size_t good = utf8_character_len((const unsigned char *)text);
		size_t need = good > 0 ? good : UTF8_REPLACEMENT_LEN;

		if (len + need >= size)
			break;
		memcpy(out + len, good > 0 ? text : UTF8_REPLACEMENT, need);
		len += need;
		text += good > 0 ? good : 1;
	}
	out[len] = '\0';
	return len;
}
