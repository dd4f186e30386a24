/*
 * SPDX-License-Identifier: MIT
 */
#include "protocol/json_text.h"

#include <stdlib.h>
#include <string.h>

#include "protocol/utf8.h"

#define JSON_TEXT_SIZE_FIRST 256
#define JSON_TEXT_REPLACEMENT "\xef\xbf\xbd" /* U+FFFD */
#define JSON_TEXT_NUMBER_MAX 21		     /* of -(2^64 - 1) */

static void
json_text_put(struct json_text *text, const char *bytes, size_t len)
{
	size_t size = text->size > 0 ? text->size : JSON_TEXT_SIZE_FIRST;

	while (size - text->len < len)
		size *= 2;
	if (size > text->size) {
		char *grown = realloc(text->bytes, size);

		if (grown == NULL) {
			text->is_broken = true;
			return;
		}
		text->bytes = grown;
		text->size = size;
	}
	memcpy(text->bytes + text->len, bytes, len);
	text->len += len;
}

static void
json_text_put_byte(struct json_text *text, char byte)
{
	json_text_put(text, &byte, 1);
}

/* A value begins. */
static void
json_text_begin(struct json_text *text)
{
	if (text->is_behind)
		json_text_put_byte(text, ',');
	text->is_behind = true;
}

void
json_text_open(struct json_text *text, char bracket)
{
	json_text_begin(text);
	json_text_put_byte(text, bracket);
	text->is_behind = false;
}

void
json_text_close(struct json_text *text, char bracket)
{
	json_text_put_byte(text, bracket);
	text->is_behind = true;
}

static bool
json_text_is_plain(char c)
{
	return (unsigned char)c >= ' ' && c != '"' && c != '\\';
}

static void
json_text_escape(struct json_text *text, char c)
{
	static const char letters[] = { 'b', 't', 'n', '\0', 'f', 'r' }; /* from '\b' on */
	static const char digits[] = "0123456789abcdef";
	unsigned index = (unsigned)(c - '\b');
	char letter = index < sizeof(letters) ? letters[index] : '\0';
	char number[] = { '\\', 'u', '0', '0', digits[c / 16 % 16], digits[c % 16] };

	number[1] = c < ' ' ? letter : c;
	if (number[1] != '\0') {
		json_text_put(text, number, 2);
		return;
	}
	number[1] = 'u';
	json_text_put(text, number, sizeof(number));
}

/* What is not UTF-8 in STRING is replaced, or, if IS_UTF8, is not looked for. */
static void
json_text_put_string(struct json_text *text, const char *string, bool is_utf8)
{
	json_text_begin(text);
	json_text_put_byte(text, '"');
	for (;;) {
		size_t len = 0;
		size_t n = 1;

		while (n > 0 && json_text_is_plain(string[len])) {
			n = is_utf8 ? 1 : utf8_character_len(string + len);
			len += n;
		}
		json_text_put(text, string, len);
		string += len;
		if (*string == '\0')
			break;
		if (n == 0)
			json_text_put(text, JSON_TEXT_REPLACEMENT, 3);
		else
			json_text_escape(text, *string);
		string++;
	}
	json_text_put_byte(text, '"');
}

void
json_text_string(struct json_text *text, const char *string)
{
	json_text_put_string(text, string, true);
}

void
json_text_bytes(struct json_text *text, const char *bytes)
{
	json_text_put_string(text, bytes, false);
}

void
json_text_name(struct json_text *text, const char *name)
{
	json_text_string(text, name);
	json_text_put_byte(text, ':');
	text->is_behind = false;
}

void
json_text_word(struct json_text *text, const char *word)
{
	json_text_begin(text);
	json_text_put(text, word, strlen(word));
}

void
json_text_number(struct json_text *text, uint64_t number, bool is_negative)
{
	char digits[JSON_TEXT_NUMBER_MAX];
	size_t first = sizeof(digits);

	do
		digits[--first] = (char)('0' + number % 10);
	while ((number /= 10) > 0);
	if (is_negative)
		digits[--first] = '-';
	json_text_begin(text);
	json_text_put(text, digits + first, sizeof(digits) - first);
}

char *
json_text_take(struct json_text *text, size_t *ret_len)
{
	char *bytes;

	*ret_len = text->len;
	json_text_put_byte(text, '\0');
	bytes = text->bytes;
	if (text->is_broken) {
		free(bytes);
		bytes = NULL;
	}
	*text = (struct json_text){ 0 };
	return bytes;
}
