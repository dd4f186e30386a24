/*
 * program_report: the reports of one program, kept or passed on, and put into words.
 *
 * SPDX-License-Identifier: MIT
 */
#include "ctl/program_report.h"

#include <string.h>

#include "ctl/command.h"
#include "ctl/quantity.h"
#include "ctl/signal_name.h"

#define PROGRAM_REPORT_BYTES_PER_KB 1024
#define PROGRAM_REPORT_END_MAX 128

static void
program_report_take(void *argument, const char *text, size_t len)
{
	struct program_report *kept = argument;
	struct json_error error = { 0 };
	struct report report;

	report_file_put(&kept->file, text, len);
	if (report_parse(text, len, &report, &error) < 0)
		return;
	if (report.event == REPORT_EXITED && kept->exited.json == NULL)
		kept->exited = report;
	else
		report_done(&report);
}

void
program_keep_report(struct attach_options *attach, struct program_report *report)
{
	attach->report = program_report_take;
	attach->argument = report;
}

/* "exited with status 3", "ended by SIGKILL: its time was up". Returns whether it has a reason
 * that is not the program's own. */
static bool
program_report_format_end(const struct report_exited *exited, char *text, size_t size)
{
	static const struct {
		const char *reason;
		const char *words;
	} reasons[] = {
		{ "timeout", "its time was up" },
		{ "oom", "it was out of memory" },
		{ "disconnected", "the host had gone" },
		{ "shutdown", "the guest, or the agent in it, goes down" },
		{ "abandoned", "nobody was attached for its time alone" },
	};
	char name[SIGNAL_NAME_MAX];
	size_t len;

	if (exited->signal > 0) {
		signal_name_format(exited->signal, name);
		len = (size_t)snprintf(text, size, "ended by %s", name);
	} else {
		len = (size_t)snprintf(text, size, "exited with status %d", exited->code);
	}
	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
		if (strcmp(exited->reason, reasons[i].reason) == 0) {
			(void)snprintf(text + len, size - len, ": %s", reasons[i].words);
			return true;
		}
	}
	return false;
}

void
program_say_reason(struct program_report *report)
{
	char end[PROGRAM_REPORT_END_MAX];

	if (report->exited.json != NULL &&
	    program_report_format_end(&report->exited.exited, end, sizeof(end)))
		(void)command_fail("%s", end);
	report_done(&report->exited);
}

void
program_print_report(struct program_report *report)
{
	const struct report_exited *exited = &report->exited.exited;
	char end[PROGRAM_REPORT_END_MAX];
	char memory[QUANTITY_MAX];

	if (report->file.out != NULL) {
		program_say_reason(report);
		return;
	}
	if (report->exited.json == NULL) {
		(void)command_fail("the agent did not tell what the program took");
		return;
	}
	(void)program_report_format_end(exited, end, sizeof(end));
	quantity_format_bytes(memory, exited->has_memory_peak
					  ? exited->memory_peak_bytes
					  : exited->max_rss_kb * PROGRAM_REPORT_BYTES_PER_KB);
	(void)fprintf(stderr,
	    COMMAND_PROGRAM ": %s; %.3f s (user %.3f s, system %.3f s), %s of memory at most%s\n",
	    end, (double)exited->wall_ms / 1000, (double)exited->user_ms / 1000,
	    (double)exited->system_ms / 1000, memory,
	    exited->output_held ? "; something it started still runs" : "");
	report_done(&report->exited);
}
