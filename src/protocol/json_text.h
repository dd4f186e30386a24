/*
 * json_text: JSON that is written straight into a block as it grows, without white space. For
 * protocol/ alone, as json.h, whose json-c reads it: what is only to be sent needs no tree, which
 * takes ten times as long to make.
 *
 * Nothing is returned on the way: where there was no memory, or the writer has given up, there is
 * no text in the end.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PROTOCOL_JSON_TEXT_H
#define PROTOCOL_JSON_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Zero-initialised it is ready for use. */
struct json_text {
	char *bytes;
	size_t len;
	size_t size;
	bool is_behind; /* a value, so that a comma comes next */
	bool is_broken;
};

/* Writes BRACKET, '{' or '[', in front of what it holds, or '}' or ']' behind that. */
void json_text_open(struct json_text *text, char bracket);
void json_text_close(struct json_text *text, char bracket);

/* Writes a member's name, whose value comes next. It is UTF-8, as a string is. */
void json_text_name(struct json_text *text, const char *name);

/* Writes a value: a string; one of any BYTES, with U+FFFD for each that is not UTF-8; NUMBER, or
 * what is as far below zero; or WORD as it is: another number, true or false. */
void json_text_string(struct json_text *text, const char *string);
void json_text_bytes(struct json_text *text, const char *bytes);
void json_text_number(struct json_text *text, uint64_t number, bool is_negative);
void json_text_word(struct json_text *text, const char *word);

/* The text, which the caller frees, with a NUL behind its *RET_LEN bytes; NULL: there is none. */
char *json_text_take(struct json_text *text, size_t *ret_len);

#endif
