/*
 * status_text: the table is as wide as what is in it, or as the terminal.
 *
 * SPDX-License-Identifier: MIT
 */
#include "ctl/status_text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl/command.h"
#include "ctl/quantity.h"
#include "ctl/request.h"
#include "ctl/signal_name.h"
#include "ctl/terminal.h"
#include "platform/clock.h"

#define STATUS_TEXT_COLUMNS 8
#define STATUS_TEXT_CELL_MAX (VMM_GUEST_NAME_MAX + 1)
#define STATUS_TEXT_GAP 2

/* The connection that asks is not what anybody asks about. */
#define STATUS_TEXT_OWN_KIND "status"

struct status_text_row {
	char cells[STATUS_TEXT_COLUMNS][STATUS_TEXT_CELL_MAX];
	const char *command;
};

static const struct {
	const char *name;
	bool is_right;	/* numbers are */
	bool is_seldom; /* not shown where no row has it */
} status_text_columns[STATUS_TEXT_COLUMNS] = {
	{ "SESSION", .is_right = true },
	{ "NAME", .is_seldom = true },
	{ .name = "KIND" },
	{ "PID", .is_right = true },
	{ .name = "USER" },
	{ "AGE", .is_right = true },
	{ "IN", .is_right = true },
	{ "OUT", .is_right = true },
};

int
status_text_ask_json(struct control_answer *ret)
{
	const struct request request = { .type = VMM_GUEST_STATUS_REQ,
		.refused = "the agent would not tell its status" };
	int status = request_run(&request, ret);

	if (status == 0 && ret->status == NULL)
		return command_fail("the agent is too old to tell its status");
	return status;
}

int
status_text_ask(struct status *ret)
{
	struct control_answer CLEANUP_ANSWER answer = { 0 };
	struct json_error error = { 0 };
	int status = status_text_ask_json(&answer);

	if (status != 0)
		return status;
	if (status_parse(answer.status, answer.status_len, ret, &error) < 0)
		return command_fail("the agent's status can't be understood: %s",
		    error.text[0] != '\0' ? error.text : "out of memory");
	return 0;
}

static void
status_text_fill_word(char *cell, const char *word)
{
	command_make_printable(word[0] != '\0' ? word : "-", cell, STATUS_TEXT_CELL_MAX);
}

static void
status_text_fill(struct status_text_row *row, const struct status_slot *slot)
{
	row->command = slot->command;
	(void)snprintf(
	    row->cells[0], STATUS_TEXT_CELL_MAX, "%llu", (unsigned long long)slot->session);
	status_text_fill_word(row->cells[1], slot->name);
	command_make_printable(slot->kind, row->cells[2], STATUS_TEXT_CELL_MAX);
	(void)snprintf(row->cells[3], STATUS_TEXT_CELL_MAX, slot->pid != 0 ? "%d" : "-", slot->pid);
	status_text_fill_word(row->cells[4], slot->user);
	quantity_format_ms(row->cells[5], slot->age_ms);
	quantity_format_bytes(row->cells[6], slot->bytes_in);
	quantity_format_bytes(row->cells[7], slot->bytes_out);
}

/* Prints one row; what does not fit onto the terminal's line is cut. */
static void
status_text_print_row(const struct status_text_row *row, const int *widths, int columns)
{
	char command[VMM_GUEST_COMMAND_MAX * 3 + 1];
	int used = 0;

	for (int i = 0; i < STATUS_TEXT_COLUMNS; i++) {
		if (widths[i] == 0)
			continue;
		(void)printf(
		    status_text_columns[i].is_right ? "%*s  " : "%-*s  ", widths[i], row->cells[i]);
		used += widths[i] + STATUS_TEXT_GAP;
	}
	command_make_printable(row->command, command, sizeof(command));
	if (columns > used && strlen(command) > (size_t)(columns - used))
		command[command_cut(command, (unsigned)(columns - used))] = '\0';
	(void)printf("%s\n", command);
}

/* The first row is the head. */
static void
status_text_measure(const struct status_text_row *rows, size_t count, int *widths)
{
	for (int i = 0; i < STATUS_TEXT_COLUMNS; i++) {
		bool is_there = !status_text_columns[i].is_seldom;

		widths[i] = 0;
		for (size_t j = 0; j < count; j++) {
			int len = (int)strlen(rows[j].cells[i]);

			widths[i] = len > widths[i] ? len : widths[i];
			is_there |= j > 0 && strcmp(rows[j].cells[i], "-") != 0;
		}
		if (!is_there)
			widths[i] = 0;
	}
}

int
status_text_print_sessions(const struct status *status)
{
	struct status_text_row *rows = calloc(status->slots_count + 1, sizeof(*rows));
	struct frame_resize terminal = { 0 };
	int widths[STATUS_TEXT_COLUMNS];
	size_t count = 1;

	if (rows == NULL)
		return command_fail("out of memory");
	for (int i = 0; i < STATUS_TEXT_COLUMNS; i++)
		(void)strlcpy(rows[0].cells[i], status_text_columns[i].name, STATUS_TEXT_CELL_MAX);
	rows[0].command = "COMMAND";
	for (size_t i = 0; i < status->slots_count; i++) {
		if (strcmp(status->slots[i].kind, STATUS_TEXT_OWN_KIND) != 0)
			status_text_fill(&rows[count++], &status->slots[i]);
	}
	status_text_measure(rows, count, widths);
	if (isatty(STDOUT_FILENO))
		(void)terminal_get_size(&terminal);
	for (size_t j = 0; j < count; j++)
		status_text_print_row(&rows[j], widths, terminal.columns);
	free(rows);
	return 0;
}

static void
status_text_print_deaths(const struct status *status)
{
	const char *comma = "";
	char ago[QUANTITY_MAX];
	int64_t since_ms = clock_wall_ms() - status->worker_deaths.last_unix_ms;

	(void)printf("%-14s %llu", "Workers lost", (unsigned long long)status->worker_deaths.total);
	if (status->worker_deaths.total == 0) {
		(void)printf("\n");
		return;
	}
	(void)printf(" (");
	for (int i = 0; i < STATUS_SIGNAL_MAX; i++) {
		char name[SIGNAL_NAME_MAX] = "exited";

		if (status->worker_deaths.by_signal[i] == 0)
			continue;
		if (i > 0)
			signal_name_format(i, name);
		(void)printf("%s%u %s", comma, status->worker_deaths.by_signal[i], name);
		comma = ", ";
	}
	quantity_format_ms(ago, since_ms > 0 ? (uint64_t)since_ms : 0);
	(void)printf("), the last one %s ago\n", ago);
}

int
status_text_print(const struct status *status)
{
	char version[STATUS_TEXT_CELL_MAX];
	char uptime[QUANTITY_MAX];
	char shm[QUANTITY_MAX];

	command_make_printable(status->version, version, sizeof(version));
	quantity_format_ms(uptime, status->uptime_ms);
	(void)printf("%-14s vmm-guest-agent %s, PID %d, up %s, ready after %.1f ms\n", "Agent",
	    version, status->pid, uptime, status->boot_ms);
	(void)printf("%-14s %u: %u idle, %u exec, %u look, %u file, %u control; "
		     "%u kept for control\n",
	    "Workers", status->workers.configured, status->workers.idle, status->workers.exec,
	    status->workers.look, status->workers.file, status->workers.control,
	    status->workers.reserved);
	status_text_print_deaths(status);
	(void)printf("%-14s %llu started, %llu exited, %llu by signal, %llu timed out, "
		     "%llu out of memory\n",
	    "Sessions", (unsigned long long)status->sessions.started,
	    (unsigned long long)status->sessions.exited,
	    (unsigned long long)status->sessions.signaled,
	    (unsigned long long)status->sessions.timeouts,
	    (unsigned long long)status->sessions.oom);
	(void)printf("%-14s %llu refused, %llu bad, %llu stalled by a file of the guest\n",
	    "Requests", (unsigned long long)status->sessions.refused,
	    (unsigned long long)status->sessions.bad_requests,
	    (unsigned long long)status->sessions.stalled);
	(void)printf("%-14s set %llu times\n", "Clock", (unsigned long long)status->clock_syncs);
	quantity_format_bytes(shm, status->shm_bytes);
	(void)printf("%-14s %s in /dev/shm\n", "Memory", shm);
	(void)printf("\n");
	return status_text_print_sessions(status);
}
