/*
 * env_option: "--env NAME=VALUE", as often as is liked.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CTL_ENV_OPTION_H
#define CTL_ENV_OPTION_H

#include <stdbool.h>
#include <stddef.h>

#include "ctl/options.h"
#include "protocol/start.h"

struct env_option {
	struct start_env *env;
	size_t count;
	size_t size;  /* room in ENV */
	char **lines; /* of files */
	size_t lines_count;
};

/* A row of options; INTO is a struct env_option. */
#define ENV_OPTION(into_, help_)                                                                   \
	OPTIONS_CALL("env", 'e', "NAME=VALUE", env_option_take, into_, "NAME=VALUE", help_)

/* The next row: variables out of a file; INTO is the same. */
#define ENV_OPTION_FILE(into_)                                                                     \
	OPTIONS_CALL("env-file", 0, "FILE", env_option_take_file, into_,                           \
	    "a file of lines NAME=VALUE",                                                          \
	    "and those in FILE, a NAME=VALUE or NAME a line; lines that begin with # are no "      \
	    "matter")

/* Makes room for as many as ARGC arguments can have, and MORE. Ends the program if there is no
 * memory for it. */
void env_option_init(struct env_option *option, int argc, size_t more);

/* Frees it, and what came out of files. */
void env_option_done(struct env_option *option);

/* "NAME=VALUE", or "NAME" for what our own environment has. The option borrows TEXT, which is
 * cut at '='. */
int env_option_take(const struct options_row *row, char *text);

/* The same of each line of the file TEXT, whose lines are the option's. It makes the room for
 * them. */
int env_option_take_file(const struct options_row *row, char *text);

#endif
