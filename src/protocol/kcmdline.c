/*
 * kcmdline: the kernel command line as words.
 *
 * SPDX-License-Identifier: MIT
 */
#include "protocol/kcmdline.h"

#include <errno.h>
#include <string.h>

#define KCMDLINE_SPACE " \t\n\v\f\r"

/* The length of the word at TEXT: white space between quotes belongs to it. */
static size_t
kcmdline_word_len(const char *text)
{
	bool in_quotes = false;
	size_t len;

	for (len = 0; text[len] != '\0'; len++) {
		if (text[len] == '"')
			in_quotes = !in_quotes;
		else if (!in_quotes && strchr(KCMDLINE_SPACE, text[len]) != NULL)
			break;
	}
	return len;
}

/* Takes off the quotes of a text that begins with one: the kernel does not
 * mind if the closing one is missing, and leaves those in the middle alone. */
static void
kcmdline_unquote(const char **text, size_t *len)
{
	if (*len == 0 || **text != '"')
		return;
	(*text)++;
	(*len)--;
	if (*len > 0 && (*text)[*len - 1] == '"')
		(*len)--;
}

bool
kcmdline_next(const char **cursor, struct kcmdline_word *ret)
{
	const char *text = *cursor + strspn(*cursor, KCMDLINE_SPACE);
	size_t len = kcmdline_word_len(text);
	const char *equals;

	*cursor = text + len;
	if (len == 0)
		return false;
	kcmdline_unquote(&text, &len);
	/* A word that begins with '=' is a name, not a value without one. */
	equals = len > 1 ? memchr(text + 1, '=', len - 1) : NULL;
	*ret = (struct kcmdline_word){ .name = text, .name_len = len };
	if (equals != NULL) {
		ret->name_len = (size_t)(equals - text);
		ret->value = equals + 1;
		ret->value_len = len - ret->name_len - 1;
		kcmdline_unquote(&ret->value, &ret->value_len);
	} else if (len == 2 && memcmp(text, "--", 2) == 0) {
		return false;
	}
	return true;
}

static char
kcmdline_fold(char c)
{
	return c == '-' ? '_' : c;
}

bool
kcmdline_is_named(const struct kcmdline_word *word, const char *name)
{
	size_t i;

	for (i = 0; i < word->name_len; i++) {
		if (name[i] == '\0' || kcmdline_fold(word->name[i]) != kcmdline_fold(name[i]))
			return false;
	}
	return name[i] == '\0';
}

int
kcmdline_get(const char *line, const char *name, char *buf, size_t size)
{
	struct kcmdline_word word;
	struct kcmdline_word found = { .value = NULL };

	while (kcmdline_next(&line, &word)) {
		if (word.value != NULL && kcmdline_is_named(&word, name))
			found = word;
	}
	if (found.value == NULL)
		return -ENOENT;
	if (found.value_len >= size)
		return -ENAMETOOLONG;
	memcpy(buf, found.value, found.value_len);
	buf[found.value_len] = '\0';
	return 0;
}
