/*
 * options: the options of a command as a table, out of which come what getopt_long(3)
 * reads and what --help shows.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CTL_OPTIONS_H
#define CTL_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A table ends with OPTIONS_END. */
struct options_row {
	const char *name;     /* "user"; NULL: it has a letter alone */
	char letter;	      /* 'u'; 0: it has a name alone */
	const char *argument; /* "USER"; "[=FILE]": may be left out; NULL: it takes none */
	const char *help;     /* wrapped when it is shown; NULL: it is not shown */
	/* Puts the argument TEXT (NULL: none was given) where INTO leads. Returns 0, or
	 * -EINVAL if it is not a WHAT. */
	int (*take)(const struct options_row *row, char *text);
	void *into;
	int value;	  /* for options_take_value() */
	const char *what; /* "a number of bytes" */
};

/* Last in each table, and the option that all commands have. */
#define OPTIONS_END                                                                                \
	{                                                                                          \
		.name = "help", .letter = 'h', .help = "show this help"                            \
	}

/* The same where -h is another thing, by habit. */
#define OPTIONS_END_NO_LETTER                                                                      \
	{                                                                                          \
		.name = "help", .help = "show this help"                                           \
	}

#define OPTIONS_CALL(name_, letter_, argument_, take_, into_, what_, help_)                        \
	{                                                                                          \
		.name = (name_), .letter = (letter_), .argument = (argument_), .help = (help_),    \
		.take = (take_), .into = (into_), .what = (what_)                                  \
	}

/* The usual rows: INTO is a bool that becomes true; an enum that becomes VALUE; a const
 * char *; a uint64_t of bytes; a uint32_t of seconds, of which a
 * part counts as a whole one; a uint64_t of milliseconds. */
#define OPTIONS_FLAG(name_, letter_, into_, help_)                                                 \
	OPTIONS_CALL(name_, letter_, NULL, options_take_flag, into_, NULL, help_)
#define OPTIONS_VALUE(name_, into_, value_, help_)                                                 \
	{                                                                                          \
		.name = (name_), .into = (into_), .value = (value_), .help = (help_),              \
		.take = options_take_value                                                         \
	}
#define OPTIONS_TEXT(name_, letter_, argument_, into_, help_)                                      \
	OPTIONS_CALL(name_, letter_, argument_, options_take_text, into_, NULL, help_)
#define OPTIONS_BYTES(name_, argument_, into_, help_)                                              \
	OPTIONS_CALL(name_, 0, argument_, options_take_bytes, into_, "a number of bytes", help_)
#define OPTIONS_SECONDS(name_, argument_, into_, help_)                                            \
	OPTIONS_CALL(name_, 0, argument_, options_take_seconds, into_, OPTIONS_OF_SECONDS, help_)
#define OPTIONS_MS(name_, argument_, into_, help_)                                                 \
	OPTIONS_CALL(name_, 0, argument_, options_take_ms, into_, OPTIONS_OF_SECONDS, help_)
#define OPTIONS_OF_SECONDS "a number of seconds (or 500ms, 10s, 2m, 1h)"

/* A letter that other programs of the name have, and that --help need not show. */
#define OPTIONS_HIDDEN(letter_, take_, into_)                                                      \
	OPTIONS_CALL(NULL, letter_, NULL, take_, into_, NULL, NULL)

/* A name that other programs have for the same. */
#define OPTIONS_ALIAS(name_, argument_, take_, into_, what_)                                       \
	OPTIONS_CALL(name_, 0, argument_, take_, into_, what_, NULL)

/* In the table for --help alone: what an operand is. */
#define OPTIONS_OPERAND(operand_, help_)                                                           \
	OPTIONS_CALL(NULL, 0, operand_, options_take_nothing, NULL, NULL, help_)

int options_take_flag(const struct options_row *row, char *text);
int options_take_value(const struct options_row *row, char *text);
int options_take_text(const struct options_row *row, char *text);
int options_take_bytes(const struct options_row *row, char *text);
int options_take_seconds(const struct options_row *row, char *text);
int options_take_ms(const struct options_row *row, char *text);
int options_take_nothing(const struct options_row *row, char *text);

enum options_end {
	OPTIONS_READ, /* all of them; optind is that of the first operand */
	OPTIONS_HELP, /* help was asked for */
	OPTIONS_WRONG /* they are not to be understood, as standard error says by now */
};

/* Reads the options of ARGV, whose first string begins what is said; with IN_ORDER up to
 * the first operand, else wherever they stand. */
enum options_end options_read(const struct options_row *rows, bool in_order, int argc, char **argv);

/* Prints "COMMAND<tab>-x<tab>ARGUMENT<tab>HELP", of HELP the first line, for each letter and
 * each name that is shown. */
void options_print_words(const char *command, const struct options_row *rows);

/* Prints the table, a line or more an option. */
void options_print(const struct options_row *rows);

#endif
