/*
 * sessions: "vmm-guest-ctl sessions": the durable ones.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdio.h>
#include <string.h>

#include "ctl/command.h"
#include "ctl/quantity.h"
#include "ctl/session_find.h"
#include "ctl/session_table.h"
#include "ctl/signal_name.h"
#include "ctl/status_text.h"

static bool sessions_as_json;

static const struct options_row sessions_options[] = {
	OPTIONS_FLAG(
	    "json", 0, &sessions_as_json, "the agent's words for each as JSON, one a line"),
	OPTIONS_END,
};

static const struct session_table_column sessions_columns[] = {
	{ .name = "NAME" },
	{ "SESSION", .is_right = true },
	{ .name = "STATE" },
	{ "HOSTS", .is_right = true },
	{ "AGE", .is_right = true },
	{ "OUT", .is_right = true },
};

#define SESSIONS_COLUMNS ((int)(sizeof(sessions_columns) / sizeof(sessions_columns[0])))

static void
sessions_format_state(char *cell, const struct status_slot *slot)
{
	if (slot->running)
		(void)strlcpy(cell, "runs", SESSION_TABLE_CELL_MAX);
	else if (slot->signal > 0)
		signal_name_format(slot->signal, cell);
	else
		(void)snprintf(cell, SESSION_TABLE_CELL_MAX, "exit %d", slot->code);
}

static int
sessions_show(const struct status *status)
{
	struct session_table CLEANUP_SESSION_TABLE table = { 0 };

	if (session_table_init(&table, sessions_columns, SESSIONS_COLUMNS, status->slots_count) < 0)
		return command_fail("out of memory");
	for (size_t i = 0; i < status->slots_count; i++) {
		const struct status_slot *slot = &status->slots[i];
		struct session_table_row *row;

		if (!slot->is_durable)
			continue;
		row = session_table_add(&table, slot->command);
		session_table_put_word(row->cells[0], slot->name);
		(void)snprintf(row->cells[1], SESSION_TABLE_CELL_MAX, "%llu",
		    (unsigned long long)slot->session);
		sessions_format_state(row->cells[2], slot);
		(void)snprintf(row->cells[3], SESSION_TABLE_CELL_MAX, "%u", slot->attached);
		quantity_format_ms(row->cells[4], slot->age_ms);
		quantity_format_bytes(row->cells[5], slot->offset);
	}
	session_table_print(&table, stdout);
	return 0;
}

static int
sessions_show_json(const struct status *status)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < status->slots_count; i++) {
		size_t len;
		char *json;

		if (!status->slots[i].is_durable)
			continue;
		json = status_slot_format(&status->slots[i], &len);
		r = command_print_message(json, len);
	}
	return r;
}

static int
sessions_run(int count, char **operands)
{
	struct status CLEANUP_STATUS status = { 0 };
	int r = status_text_ask(&status);

	(void)count;
	(void)operands;
	if (r == 0)
		r = session_find_check(&status);
	if (r != 0)
		return r;
	return sessions_as_json ? sessions_show_json(&status) : sessions_show(&status);
}

const struct command sessions_command = {
	.name = "sessions",
	.summary = "list the durable sessions",
	.usage = "[--json]",
	.about = "Lists the durable sessions: those that run, and those whose end is kept.\n"
		 "\n"
		 "  NAME     for 'vmm-guest-ctl attach', 'logs', 'kill' and 'forget'\n"
		 "  SESSION  its number, which does as well\n"
		 "  STATE    runs; or how it ended: the exit status, or the signal\n"
		 "  HOSTS    how many are attached to it\n"
		 "  AGE      since it began\n"
		 "  OUT      bytes that it has put out so far\n"
		 "  COMMAND  the program\n",
	.options = sessions_options,
	.run = sessions_run,
};
