/*
 * options: tables for getopt_long(3), and for people.
 *
 * SPDX-License-Identifier: MIT
 */
#include "ctl/options.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "ctl/command.h"
#include "ctl/quantity.h"

#define OPTIONS_MAX 32
#define OPTIONS_LEFT_MAX 40
#define OPTIONS_SCREEN 80

/* What getopt_long(3) returns for a name is this and its row's place: above all letters. */
#define OPTIONS_NAMED 256

int
options_take_flag(const struct options_row *row, char *text)
{
	(void)text;
	*(bool *)row->into = true;
	return 0;
}

int
options_take_value(const struct options_row *row, char *text)
{
	(void)text;
	*(int *)row->into = row->value;
	return 0;
}

int
options_take_text(const struct options_row *row, char *text)
{
	*(const char **)row->into = text;
	return 0;
}

int
options_take_bytes(const struct options_row *row, char *text)
{
	return quantity_parse_bytes(text, row->into);
}

int
options_take_seconds(const struct options_row *row, char *text)
{
	uint64_t seconds;
	int r = quantity_parse_seconds(text, &seconds);

	if (r < 0 || seconds > UINT32_MAX)
		return -EINVAL;
	*(uint32_t *)row->into = (uint32_t)seconds;
	return 0;
}

int
options_take_ms(const struct options_row *row, char *text)
{
	return quantity_parse_ms(text, row->into);
}

int
options_take_nothing(const struct options_row *row, char *text)
{
	(void)row;
	(void)text;
	return 0;
}

static bool
options_is_end(const struct options_row *row)
{
	return row->take == NULL;
}

static int
options_has_argument(const struct options_row *row)
{
	if (row->argument == NULL)
		return no_argument;
	return row->argument[0] == '[' ? optional_argument : required_argument;
}

/* Fills NAMES and LETTERS, which are zero, with one option. */
static void
options_add(const struct options_row *row, int place, struct option *names, char *letters)
{
	static const char *const colons[] = {
		[no_argument] = "", [required_argument] = ":", [optional_argument] = "::"
	};
	int has_argument = options_has_argument(row);
	size_t used = strlen(letters);

	while (names->name != NULL)
		names++;
	if (row->name != NULL)
		*names = (struct option){ row->name, has_argument, NULL, OPTIONS_NAMED + place };
	if (row->letter == 0)
		return;
	letters[used] = row->letter;
	(void)strcpy(letters + used + 1, colons[has_argument]);
}

static const struct options_row *
options_find(const struct options_row *rows, int c)
{
	if (c >= OPTIONS_NAMED)
		return &rows[c - OPTIONS_NAMED];
	while (rows->letter != c)
		rows++;
	return rows;
}

static int
options_take(const struct options_row *row, const char *program)
{
	if (row->take(row, optarg) == 0)
		return 0;
	if (row->name != NULL)
		(void)fprintf(stderr, "%s: --%s", program, row->name);
	else
		(void)fprintf(stderr, "%s: -%c", program, row->letter);
	(void)fprintf(stderr, ": '%s' is not %s\n", optarg, row->what);
	return -EINVAL;
}

enum options_end
options_read(const struct options_row *rows, bool in_order, int argc, char **argv)
{
	struct option names[OPTIONS_MAX] = { 0 };
	char letters[3 * OPTIONS_MAX] = { in_order ? '+' : '\0' };
	int place = 0;
	int c;

	do
		options_add(&rows[place], place, names, letters);
	while (!options_is_end(&rows[place++]));
	while ((c = getopt_long(argc, argv, letters, names, NULL)) != -1) {
		const struct options_row *row;

		if (c == '?')
			return OPTIONS_WRONG;
		row = options_find(rows, c);
		if (options_is_end(row))
			return OPTIONS_HELP;
		if (options_take(row, argv[0]) < 0)
			return OPTIONS_WRONG;
	}
	return OPTIONS_READ;
}

/* "-u, --user USER", "    --json", "PORT" to TEXT of OPTIONS_LEFT_MAX bytes. Returns
 * its length. */
static int
options_format_left(const struct options_row *row, char *text)
{
	bool is_apart = options_has_argument(row) == required_argument &&
			(row->name != NULL || row->letter != 0);
	char letter[8] = "";

	if (row->letter != 0)
		(void)snprintf(
		    letter, sizeof(letter), "-%c%s", row->letter, row->name != NULL ? ", " : "");
	return snprintf(text, OPTIONS_LEFT_MAX, "%-*s%s%s%s%s", row->name != NULL ? 4 : 0, letter,
	    row->name != NULL ? "--" : "", row->name != NULL ? row->name : "", is_apart ? " " : "",
	    row->argument != NULL ? row->argument : "");
}

static void
options_print_word(const struct options_row *row)
{
	(void)printf("\t%s\t%.*s\n", row->argument != NULL ? row->argument : "",
	    (int)strcspn(row->help, "\n"), row->help);
}

void
options_print_words(const char *command, const struct options_row *rows)
{
	const struct options_row *row = rows;

	do {
		if (row->help == NULL)
			continue;
		if (row->letter != 0) {
			(void)printf("%s\t-%c", command, row->letter);
			options_print_word(row);
		}
		if (row->name != NULL) {
			(void)printf("%s\t--%s", command, row->name);
			options_print_word(row);
		}
	} while (!options_is_end(row++));
}

/* Breaks HELP between words, and where it has line ends; COLUMN is where it begins. */
static void
options_print_help(const char *help, int column)
{
	const size_t room = (size_t)(OPTIONS_SCREEN - column);

	for (;;) {
		size_t len = strcspn(help, "\n");

		if (len > room) {
			len = room;
			while (len > 0 && help[len] != ' ')
				len--;
		}
		(void)printf("%.*s\n", (int)len, help);
		help += len;
		if (*help == '\0')
			return;
		help++;
		(void)printf("%*s", column, "");
	}
}

void
options_print(const struct options_row *rows)
{
	const struct options_row *row = rows;
	char left[OPTIONS_LEFT_MAX];
	int width = 0;

	do {
		int len = row->help != NULL ? options_format_left(row, left) : 0;

		width = len > width ? len : width;
	} while (!options_is_end(row++));
	row = rows;
	do {
		if (row->help == NULL)
			continue;
		(void)options_format_left(row, left);
		(void)printf("  %-*s  ", width, left);
		options_print_help(row->help, width + 4);
	} while (!options_is_end(row++));
}
