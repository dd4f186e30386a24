/*
 * command: from argv to the command's own function, and what is printed on the way.
 *
 * SPDX-License-Identifier: MIT
 */
#include "ctl/command.h"

#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "platform/address.h"
#include "platform/printable.h"

#define COMMAND_TEXT_MAX 2048

int
command_help(const struct command *command)
{
	const char *usage = command->usage;
	const char *start = "Usage:";

	for (;;) {
		int len = (int)strcspn(usage, "\n");

		(void)printf("%s " COMMAND_PROGRAM " %s%s%.*s\n", start, command->name,
		    len > 0 ? " " : "", len, usage);
		if (usage[len] == '\0')
			break;
		usage += len + 1;
		start = "      ";
	}
	(void)printf("\n%s\n", command->about);
	options_print(command->options);
	(void)fputs(command->more != NULL ? command->more : "", stdout);
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

bool
command_is_address(const char *text)
{
	struct address address;

	return (text[0] == '/' && strstr(text, ".sock") != NULL) ||
	       address_parse(text, &address) == 0;
}

void
command_hint_address(const struct command *command, const char *text)
{
	if (command_is_address(text))
		(void)fprintf(
		    stderr, "The agent's address, -a ADDRESS, goes before '%s'. ", command->name);
}

/* What follows the first -a; "": nothing does. */
static const char *
command_find_address(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		if (strncmp(argv[i], "-a", 2) != 0)
			continue;
		if (argv[i][2] != '\0')
			return argv[i] + 2;
		return i + 1 < argc ? argv[i + 1] : "";
	}
	return "";
}

/* How many operands there may be is held here for all commands. */
int
command_run(const struct command *command, int argc, char **argv)
{
	char name[64];

	(void)snprintf(name, sizeof(name), COMMAND_PROGRAM " %s", command->name);
	argv[0] = name;
	if (command->prepare != NULL)
		argc = command->prepare(argc, argv);
	optind = 0; /* getopt_long(3): begin anew */
	switch (options_read(command->options, command->in_order, argc, argv)) {
	case OPTIONS_HELP:
		return command_help(command);
	case OPTIONS_WRONG:
		if (optopt == 'a')
			command_hint_address(command, command_find_address(argc, argv));
		return command_misuse(command, NULL);
	case OPTIONS_READ:
		break;
	}
	argc -= optind;
	argv += optind;
	if (argc < command->operands_min || argc > command->operands_max)
		return command_misuse(command, "%s",
		    command->operands != NULL ? command->operands : "it takes no arguments");
	return command->run(argc, argv);
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
	size_t left = strlen(text);
	size_t len = 0;

	while (left > 0) {
		bool is_control;
		size_t n = printable_next(text, left, &is_control);

		if (len + n >= size)
			break;
		memcpy(out + len, is_control ? "?" : text, is_control ? 1 : n);
		len += is_control ? 1 : n;
		text += n;
		left -= n;
	}
	out[len] = '\0';
}

void
command_put(const char *text)
{
	size_t left = strlen(text);

	while (left > 0) {
		bool is_control;
		size_t n = printable_next(text, left, &is_control);

		(void)fwrite(is_control ? "?" : text, 1, is_control ? 1 : n, stdout);
		text += n;
		left -= n;
	}
}

void
command_print_line(const char *text)
{
	command_put(text);
	(void)putchar('\n');
}

void
command_print(const char *text)
{
	if (isatty(STDOUT_FILENO))
		command_print_line(text);
	else
		(void)puts(text);
}

/* White space of JSON is a blank; in a string a line end can't be. */
void
command_print_json(FILE *out, const char *text, size_t len)
{
	bool is_terminal = isatty(fileno(out));
	bool is_control;
	size_t n;

	for (; len > 0; text += n, len -= n) {
		n = printable_next(text, len, &is_control);
		if ((unsigned char)text[0] < ' ')
			(void)fputc(' ', out);
		else if (is_terminal && is_control)
			(void)fputc('?', out);
		else
			(void)fwrite(text, 1, n, out);
	}
	(void)fputc('\n', out);
}

int
command_print_message(char *json, size_t len)
{
	if (json == NULL)
		return command_fail("out of memory");
	command_print_json(stdout, json, len);
	free(json);
	return 0;
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
