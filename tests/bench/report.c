/*
 * report: what was measured, as a table for people or as JSON for programs.
 *
 * SPDX-License-Identifier: MIT
 */
#include "report.h"

#include <stdio.h>

static bool report_json;
static bool report_is_first;

void
report_begin(bool json)
{
	report_json = json;
	report_is_first = true;
	if (json)
		printf("[\n");
	else
		printf(
		    "%-52s %10s %10s  %-6s %6s  %s\n", "", "agent", "floor", "", "ratio", "target");
}

static bool
report_is_met(const struct report_row *row, double ratio)
{
	switch (row->target_kind) {
	case REPORT_RATIO_MAX:
		return ratio <= row->target;
	case REPORT_RATIO_MIN:
		return ratio >= row->target;
	case REPORT_VALUE_MAX:
		return row->agent <= row->target;
	case REPORT_NO_TARGET:
		break;
	}
	return true;
}

static void
report_add_json(const struct report_row *row, double ratio)
{
	printf("%s  {\"name\":\"%s\",\"unit\":\"%s\",\"agent\":%.3f", report_is_first ? "" : ",\n",
	    row->name, row->unit, row->agent);
	if (row->floor > 0)
		printf(",\"floor\":%.3f,\"ratio\":%.3f", row->floor, ratio);
	if (row->target_kind != REPORT_NO_TARGET)
		printf(",\"target\":%.3f,\"met\":%s", row->target,
		    report_is_met(row, ratio) ? "true" : "false");
	printf("}");
	report_is_first = false;
}

static void
report_add_line(const struct report_row *row, double ratio)
{
	static const char *const signs[] = {
		[REPORT_RATIO_MAX] = "<=", [REPORT_RATIO_MIN] = ">=", [REPORT_VALUE_MAX] = "<="
	};

	printf("%-52s %10.1f ", row->name, row->agent);
	if (row->floor > 0)
		printf("%10.1f  %-6s %6.2f", row->floor, row->unit, ratio);
	else
		printf("%10s  %-6s %6s", "", row->unit, "");
	if (row->target_kind != REPORT_NO_TARGET)
		printf("  %s %g%s", signs[row->target_kind], row->target,
		    report_is_met(row, ratio) ? "" : "  not met");
	printf("\n");
}

void
report_add(struct report_row row)
{
	double ratio = row.floor > 0 ? row.agent / row.floor : 0;

	if (report_json)
		report_add_json(&row, ratio);
	else
		report_add_line(&row, ratio);
	(void)fflush(stdout);
}

void
report_end(void)
{
	if (report_json)
		printf("\n]\n");
}
