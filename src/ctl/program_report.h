/*
 * program_report: what the agent tells of a program that is run: that it started,
 * how it ended, and what it took.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CTL_PROGRAM_REPORT_H
#define CTL_PROGRAM_REPORT_H

#include <stdio.h>

#include "ctl/attach.h"
#include "protocol/report.h"
#include "protocol/start.h"

/* Zero-initialised, but for JSON, it is ready for use. */
struct program_report {
	FILE *json; /* where each report goes as it came; NULL: kept for people */
	size_t json_len;
	int json_error;	      /* an errno, if it could not be written */
	struct report exited; /* the last word, where JSON is NULL */
};

/* Has REQUEST ask for reports and ATTACH give them to REPORT. */
void program_use_report(
    struct start_request *request, struct attach_options *attach, struct program_report *report);

/* Prints to standard error how it ended, or that this was not told, and frees it; nothing
 * where there is JSON. */
void program_print_report(struct program_report *report);

#endif
