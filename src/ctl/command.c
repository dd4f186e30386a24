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
#include <unistd.h>

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
	if (format == NULL && optopt == 'a')
		(void)fprintf(
		    stderr, "The agent's address, -a ADDRESS, goes before '%s'. ", command->name);
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

unsigned
command_cut(const char *text, unsigned len)
{
	unsigned cut = len;

	/* What does not begin a character belongs to the one before. */
	while (cut > 0 && ((unsigned char)text[cut] & 0xc0) == 0x80)
		cut--;
	return cut;
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
	out[len] = *text;
	out[command_cut(out, len)] = '\0';
}

void
command_print(const char *text)
{
	size_t size = strlen(text) + 1;
	char *printable = isatty(STDOUT_FILENO) ? malloc(size) : NULL;

	if (printable != NULL)
		command_make_printable(text, printable, (unsigned)size);
	(void)puts(printable != NULL ? printable : text);
	free(printable);
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

static void
command_lower(unsigned *value, unsigned other)
{
	if (other < *value)
		*value = other;
}

/* How many letters have to be changed, added, left out, or exchanged with the next
 * one (optimal string alignment). */
static unsigned
command_distance(const char *a, const char *b)
{
	unsigned table[COMMAND_WORD_MAX + 1][COMMAND_WORD_MAX + 1];
	size_t a_len = strlen(a);
	size_t b_len = strlen(b);

	if (a_len > COMMAND_WORD_MAX || b_len > COMMAND_WORD_MAX)
		return COMMAND_WORD_MAX;
	for (unsigned i = 0; i <= a_len; i++) {
		for (unsigned j = 0; j <= b_len; j++) {
			unsigned *best = &table[i][j];

			*best = i + j;
			if (i > 0)
				command_lower(best, table[i - 1][j] + 1);
			if (j > 0)
				command_lower(best, table[i][j - 1] + 1);
			if (i > 0 && j > 0)
				command_lower(
				    best, table[i - 1][j - 1] + (a[i - 1] != b[j - 1] ? 1 : 0));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				command_lower(best, table[i - 2][j - 2] + 1);
		}
	}
	return table[a_len][b_len];
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
