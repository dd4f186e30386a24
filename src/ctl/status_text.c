/*
 * SPDX-License-Identifier: MIT
 */
#include "ctl/status_text.h"

#include <stdio.h>
#include <string.h>

#include "ctl/command.h"
#include "ctl/quantity.h"
#include "ctl/request.h"
#include "ctl/session_table.h"
#include "ctl/signal_name.h"
#include "platform/clock.h"
#include "protocol/control_request.h"

/* The connection that asks is not what anybody asks about. */
#define STATUS_TEXT_OWN_KIND "status"

static const struct session_table_column status_text_columns[] = {
	{ "SESSION", .is_right = true },
	{ "NAME", .is_seldom = true },
	{ .name = "KIND" },
	{ "PID", .is_right = true },
	{ .name = "USER" },
	{ "AGE", .is_right = true },
	{ "IN", .is_right = true },
	{ "OUT", .is_right = true },
};

#define STATUS_TEXT_COLUMNS ((int)(sizeof(status_text_columns) / sizeof(status_text_columns[0])))

/* Whoever wants no figures sends no payload; an older agent does not look at it. */
static int
status_text_ask_for(bool has_figures, struct control_answer *ret)
{
	const struct control_status wanted = { .guest = true };
	struct request request = { .frame = "STATUS_REQ",
		.refused = "the agent would not tell its status" };
	size_t len;
	int status = has_figures
			 ? request_run_json(&request, control_status_format(&wanted, &len), ret)
			 : request_run(&request, ret);

	if (status == 0 && ret->status == NULL)
		return command_fail("the agent is too old to tell its status");
	return status;
}

int
status_text_ask_json(struct control_answer *ret)
{
	return status_text_ask_for(true, ret);
}

static int
status_text_read(bool has_figures, struct status *ret)
{
	struct control_answer CLEANUP_ANSWER answer = { 0 };
	struct json_error error = { 0 };
	int status = status_text_ask_for(has_figures, &answer);

	if (status != 0)
		return status;
	if (status_parse(answer.status, answer.status_len, ret, &error) < 0)
		return command_fail("the agent's status can't be understood: %s",
		    error.text[0] != '\0' ? error.text : "out of memory");
	return 0;
}

int
status_text_ask(struct status *ret)
{
	return status_text_read(false, ret);
}

int
status_text_ask_figures(struct status *ret)
{
	return status_text_read(true, ret);
}

void
status_text_fill_slot(struct session_table_row *row, const struct status_slot *slot)
{
	(void)snprintf(
	    row->cells[0], SESSION_TABLE_CELL_MAX, "%llu", (unsigned long long)slot->session);
	session_table_put_word(row->cells[1], slot->name);
	command_make_printable(slot->kind, row->cells[2], SESSION_TABLE_CELL_MAX);
	(void)snprintf(
	    row->cells[3], SESSION_TABLE_CELL_MAX, slot->pid != 0 ? "%d" : "-", slot->pid);
	session_table_put_word(row->cells[4], slot->user);
}

static void
status_text_fill(struct session_table_row *row, const struct status_slot *slot)
{
	status_text_fill_slot(row, slot);
	quantity_format_ms(row->cells[5], slot->age_ms);
	quantity_format_bytes(row->cells[6], slot->bytes_in);
	quantity_format_bytes(row->cells[7], slot->bytes_out);
}

bool
status_text_is_own(const struct status_slot *slot)
{
	return strcmp(slot->kind, STATUS_TEXT_OWN_KIND) == 0;
}

int
status_text_print_sessions(const struct status *status)
{
	struct session_table CLEANUP_SESSION_TABLE table = { 0 };

	if (session_table_init(
		&table, status_text_columns, STATUS_TEXT_COLUMNS, status->slots_count) < 0)
		return command_fail("out of memory");
	for (size_t i = 0; i < status->slots_count; i++) {
		const struct status_slot *slot = &status->slots[i];

		if (!status_text_is_own(slot))
			status_text_fill(session_table_add(&table, slot->command), slot);
	}
	session_table_print(&table, stdout);
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

static void
status_text_print_quiesce(const struct status *status)
{
	char phase[SESSION_TABLE_CELL_MAX];
	char left[QUANTITY_MAX];

	if (!status->is_quiesced)
		return;
	command_make_printable(status->quiesce.phase, phase, sizeof(phase));
	quantity_format_ms(left, status->quiesce.hold_left_ms);
	(void)printf("%-14s %s", "Quiesced", phase);
	if (status->quiesce.hold_left_ms > 0)
		(void)printf(", for at most %s more", left);
	(void)printf("\n");
}

int
status_text_print(const struct status *status)
{
	char version[SESSION_TABLE_CELL_MAX];
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
	(void)printf("%-14s set %llu time%s\n", "Clock", (unsigned long long)status->clock_syncs,
	    status->clock_syncs == 1 ? "" : "s");
	if (status->has_generation)
		(void)printf("%-14s %llu\n", "Generation", (unsigned long long)status->generation);
	status_text_print_quiesce(status);
	quantity_format_bytes(shm, status->shm_bytes);
	(void)printf("%-14s %s in /dev/shm\n", "Memory", shm);
	status_text_print_guest(status);
	(void)printf("\n");
	return status_text_print_sessions(status);
}
