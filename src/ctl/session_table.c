/*
 * SPDX-License-Identifier: MIT
 */
#include "ctl/session_table.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl/command.h"
#include "ctl/terminal.h"

#define SESSION_TABLE_GAP 2

int
session_table_init(struct session_table *ret, const struct session_table_column *columns,
    int columns_count, size_t rows)
{
	struct session_table table = { .columns = columns, .columns_count = columns_count };
	struct session_table_row *head;

	table.rows = calloc(rows + 1, sizeof(*table.rows));
	if (table.rows == NULL)
		return -ENOMEM;
	head = session_table_add(&table, "COMMAND");
	for (int i = 0; i < columns_count; i++)
		(void)strlcpy(head->cells[i], columns[i].name, SESSION_TABLE_CELL_MAX);
	*ret = table;
	return 0;
}

void
session_table_done(struct session_table *table)
{
	free(table->rows);
	table->rows = NULL;
}

struct session_table_row *
session_table_add(struct session_table *table, const char *command)
{
	struct session_table_row *row = &table->rows[table->count++];

	row->command = command;
	return row;
}

void
session_table_put_word(char *cell, const char *word)
{
	command_make_printable(
	    word != NULL && word[0] != '\0' ? word : "-", cell, SESSION_TABLE_CELL_MAX);
}

/* How wide a column is; 0: it is not shown. */
static int
session_table_width(const struct session_table *table, int column)
{
	bool is_there = !table->columns[column].is_seldom;
	int width = 0;

	for (size_t j = 0; j < table->count; j++) {
		const char *cell = table->rows[j].cells[column];
		int len = (int)strlen(cell);

		width = len > width ? len : width;
		is_there |= j > 0 && strcmp(cell, "-") != 0;
	}
	return is_there ? width : 0;
}

static void
session_table_print_row(const struct session_table *table, const struct session_table_row *row,
    const int *widths, int terminal, FILE *out)
{
	char command[VMM_GUEST_COMMAND_MAX * 3 + 1];
	int used = 0;

	for (int i = 0; i < table->columns_count; i++) {
		if (widths[i] == 0)
			continue;
		(void)fprintf(
		    out, table->columns[i].is_right ? "%*s  " : "%-*s  ", widths[i], row->cells[i]);
		used += widths[i] + SESSION_TABLE_GAP;
	}
	command_make_printable(row->command, command, sizeof(command));
	if (terminal > used && strlen(command) > (size_t)(terminal - used))
		command[command_cut(command, (unsigned)(terminal - used))] = '\0';
	(void)fprintf(out, "%s\n", command);
}

void
session_table_print(const struct session_table *table, FILE *out)
{
	struct frame_resize terminal = { 0 };
	int widths[SESSION_TABLE_COLUMNS_MAX];

	for (int i = 0; i < table->columns_count; i++)
		widths[i] = session_table_width(table, i);
	if (isatty(STDOUT_FILENO))
		(void)terminal_get_size(&terminal);
	for (size_t j = 0; j < table->count; j++)
		session_table_print_row(table, &table->rows[j], widths, terminal.columns, out);
}
