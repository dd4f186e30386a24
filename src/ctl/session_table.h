/*
 * session_table: sessions as a table for people: as wide as what is in it, or as the
 * terminal.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CTL_SESSION_TABLE_H
#define CTL_SESSION_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "vmm-guest/protocol.h"

#define SESSION_TABLE_COLUMNS_MAX 8
#define SESSION_TABLE_CELL_MAX (VMM_GUEST_NAME_MAX + 1)

struct session_table_column {
	const char *name;
	bool is_right;	/* numbers are */
	bool is_seldom; /* not shown where no row has it, but "-" */
};

struct session_table_row {
	char cells[SESSION_TABLE_COLUMNS_MAX][SESSION_TABLE_CELL_MAX];
	const char *command; /* the last column, as long as may be; borrowed */
};

struct session_table {
	const struct session_table_column *columns;
	int columns_count;
	struct session_table_row *rows; /* the first is the head */
	size_t count;
};

/* A table with no row, which has room for ROWS. Returns 0 or -ENOMEM. */
int session_table_init(struct session_table *ret, const struct session_table_column *columns,
    int columns_count, size_t rows);
void session_table_done(struct session_table *table);
#define CLEANUP_SESSION_TABLE __attribute__((cleanup(session_table_done)))

/* One more row, whose cells are empty. */
struct session_table_row *session_table_add(struct session_table *table, const char *command);

/* Puts WORD, which may be NULL, into CELL with nothing in it that a terminal obeys; "-" where
 * it is empty. */
void session_table_put_word(char *cell, const char *word);

/* Prints it to OUT; what does not fit onto a line of our terminal's is cut. */
void session_table_print(const struct session_table *table, FILE *out);

#endif
