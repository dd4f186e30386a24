/*
 * command: what the commands of vmm-guest-ctl have in common: their entries in
 * main's table, help, complaints about wrong use, and arguments that are numbers.
 * Each command is in a file of its own name.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CTL_COMMAND_H
#define CTL_COMMAND_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "ctl/options.h"

#define COMMAND_PROGRAM "vmm-guest-ctl"

#define COMMAND_FAILED 1
#define COMMAND_MISUSED 2

struct command {
	const char *name;
	const char *summary; /* for the list of commands */
	const char *usage;   /* what follows the name, one way of use a line */
	const char *about;   /* for --help, in front of the options: whole lines */
	const char *more;    /* and behind them, an empty line first; NULL: nothing */
	const struct options_row *options;
	bool in_order; /* options end at the first operand */
	/* How many operands there may be, and what is said where there are others. */
	int operands_min;
	int operands_max;
	const char *operands;
	int misused; /* exit status for wrong use; 0: COMMAND_MISUSED */
	/* Looks at ARGV, "vmm-guest-ctl NAME" and all that follows, before the options are
	 * read. Returns the number of arguments that are left; NULL: nothing to do. */
	int (*prepare)(int argc, char **argv);
	/* Does it, with the COUNT operands, behind which is a NULL. Returns the exit status. */
	int (*run)(int count, char **operands);
};

#define COMMAND_OPERANDS_ANY INT_MAX

extern const struct command attach_command;
extern const struct command cat_command;
extern const struct command clock_sync_command;
extern const struct command cp_command;
extern const struct command doctor_command;
extern const struct command exec_command;
extern const struct command forget_command;
extern const struct command forward_command;
extern const struct command kill_command;
extern const struct command logs_command;
extern const struct command ls_command;
extern const struct command mkdir_command;
extern const struct command mv_command;
extern const struct command ps_command;
extern const struct command quiesce_command;
extern const struct command restored_command;
extern const struct command rm_command;
extern const struct command sessions_command;
extern const struct command shell_command;
extern const struct command shutdown_command;
extern const struct command stat_command;
extern const struct command status_command;
extern const struct command thaw_command;
extern const struct command top_command;
extern const struct command wait_command;
extern const struct command wait_port_command;
extern const struct command watch_command;

/* Prints the help, and returns the exit status for that. */
int command_help(const struct command *command);

/* Whether TEXT looks like an agent's address, by which it was meant for -a. */
bool command_is_address(const char *text);

/* Says where the agent's address goes, if TEXT looks like one, in front of where help is. */
void command_hint_address(const struct command *command, const char *text);

/* Reads the options of ARGV, whose first string is the command's name, and runs it.
 * Returns the exit status. */
int command_run(const struct command *command, int argc, char **argv);

/* Prints what is wrong, unless FORMAT is NULL (that has been said), and where help is.
 * Returns the exit status. */
int command_misuse(const struct command *command, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Prints "vmm-guest-ctl: TEXT", and returns COMMAND_FAILED. Bytes of the guest's in
 * it can't do anything to the terminal. */
int command_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Reads a whole number from MIN to MAX. Returns 0 or -EINVAL. */
int command_parse_number(const char *text, uint64_t min, uint64_t max, uint64_t *ret);

/* Prints TEXT and a newline, as it is; on a terminal as command_print_line(). */
void command_print(const char *text);

/* Prints TEXT with '?' for control characters (platform/printable.h); the second with a
 * newline behind it. */
void command_put(const char *text);
void command_print_line(const char *text);

/* Prints the LEN bytes of the guest's JSON to OUT as one line, and else as they came;
 * on a terminal without control characters. */
void command_print_json(FILE *out, const char *text, size_t len);

/* Prints a message of ours, JSON as a formatter of protocol/ made it, to standard output as one
 * line, and frees it. NULL, for want of memory, is complained of. Returns 0 or COMMAND_FAILED. */
int command_print_message(char *json, size_t len);

/* The largest number up to LEN of TEXT's first bytes that ends between two characters
 * of UTF-8; TEXT has more than LEN. */
unsigned command_cut(const char *text, unsigned len);

/* Copies TEXT, cut between two characters if need be, to OUT of SIZE bytes, with '?' for
 * control characters (platform/printable.h). */
void command_make_printable(const char *text, char *out, unsigned size);

#endif
