/*
 * kcmdline: the kernel command line as words, cut as the kernel itself cuts
 * them: by white space outside of quotes, `name="a b"` and `"name=a b"` alike,
 * up to a bare `--`, behind which the words are init's arguments.
 * Pure; nothing is copied, nothing is allocated.
 * Source: next_arg() and parse_args() in the kernel's lib/cmdline.c and
 * kernel/params.c.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PROTOCOL_KCMDLINE_H
#define PROTOCOL_KCMDLINE_H

#include <stdbool.h>
#include <stddef.h>

/* The longest command line of any architecture, as /proc/cmdline gives it. */
#define KCMDLINE_MAX 8192

/* One word. Both point into the command line and have no NUL behind them. */
struct kcmdline_word {
	const char *name;
	size_t name_len;
	const char *value; /* NULL: the word has no '='; without its quotes */
	size_t value_len;
};

/* Takes the next word from *CURSOR, which starts as the whole line, and moves
 * *CURSOR behind it. Returns false at the end, or at `--`. */
bool kcmdline_next(const char **cursor, struct kcmdline_word *ret);

/* Whether the word's name is NAME; '-' and '_' are the same, as in the kernel. */
bool kcmdline_is_named(const struct kcmdline_word *word, const char *name);

/* Copies the value of the last word NAME of LINE to BUF of SIZE bytes, with a
 * NUL behind it. Returns 0; -ENOENT if there is no such word with a value;
 * -ENAMETOOLONG if it does not fit. */
int kcmdline_get(const char *line, const char *name, char *buf, size_t size);

#endif
