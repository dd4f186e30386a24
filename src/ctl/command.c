/*
 * command: what the commands have in common.
 */
#include "ctl/command.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COMMAND_WORD_MAX 32
#define COMMAND_TEXT_MAX 2048

int
command_help(const struct command *command)
{
	(void)fputs(command->help, stdout);
	return 0;
}

int
command_misuse(const struct command *command, const char *format, ...)
{
	va_list args;

	if (format != NULL) {
		(void)fprintf(stderr, COMMAND_PROGRAM " %s: ", command->name);
		va_start(args, format);
		(void)vfprintf(stderr, format, args);
		va_end(args);
		(void)fputc('\n', stderr);
	}
	(void)fprintf(stderr, "Try '" COMMAND_PROGRAM " %s --help' for more.\n", command->name);
	return command->misused != 0 ? command->misused : COMMAND_MISUSED;
}

/* Control characters of UTF-8 text: C0, DEL, and C1, which are two bytes. */
static size_t
command_control_len(const char *text)
{
	const unsigned char *p = (const unsigned char *)text;

	if (p[0] < ' ' || p[0] == 0x7f)
		return 1;
	return p[0] == 0xc2 && p[1] >= 0x80 && p[1] < 0xa0 ? 2 : 0;
}

void
command_make_printable(const char *text, char *out, unsigned size)
{
	unsigned len = 0;

	while (*text != '\0' && len + 1 < size) {
		size_t control = command_control_len(text);

		out[len++] = control > 0 ? '?' : *text;
		text += control > 0 ? control : 1;
	}
	out[len] = '\0';
}

int
command_fail(const char *format, ...)
{
	char text[COMMAND_TEXT_MAX];
	char printable[COMMAND_TEXT_MAX];
	va_list args;

	va_start(args, format);
	(void)vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	command_make_printable(text, printable, sizeof(printable));
	(void)fprintf(stderr, COMMAND_PROGRAM ": %s\n", printable);
	return COMMAND_FAILED;
}

int
command_parse_number(const char *text, uint64_t min, uint64_t max, uint64_t *ret)
{
	unsigned long long number;
	char *end;

	errno = 0;
	if (text[0] < '0' || text[0] > '9')
		return -EINVAL;
	number = strtoull(text, &end, 10);
	if (errno != 0 || *end != '\0' || number < min || number > max)
		return -EINVAL;
	*ret = number;
	return 0;
}

static unsigned
command_least(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

/* How many letters have to be changed, added or left out (Levenshtein). */
static unsigned
command_distance(const char *a, const char *b)
{
	unsigned row[COMMAND_WORD_MAX + 1];
	size_t len = strlen(b);

	if (strlen(a) > COMMAND_WORD_MAX || len > COMMAND_WORD_MAX)
		return COMMAND_WORD_MAX;
	for (unsigned i = 0; i <= len; i++)
		row[i] = i;
	for (unsigned i = 0; a[i] != '\0'; i++) {
		unsigned diagonal = row[0];

		row[0] = i + 1;
		for (size_t j = 0; j < len; j++) {
			unsigned changed = diagonal + (a[i] != b[j] ? 1 : 0);

			diagonal = row[j + 1];
			row[j + 1] = command_least(changed, command_least(row[j], row[j + 1]) + 1);
		}
	}
	return row[len];
}

const char *
command_nearest(const char *word, const char *const *names, int count)
{
	unsigned limit = (unsigned)strlen(word) / 3 + 1;
	const char *nearest = NULL;

	for (int i = 0; i < count; i++) {
		unsigned distance = command_distance(word, names[i]);

		if (distance <= limit) {
			limit = distance;
			nearest = names[i];
			if (distance == 0)
				break;
			limit--;
		}
	}
	return nearest;
}
