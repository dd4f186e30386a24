/*
 * program_report: what the agent tells of a program that is run: that it started,
 * how it ended, and what it took.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CTL_PROGRAM_REPORT_H
#define CTL_PROGRAM_REPORT_H

#include "ctl/attach.h"
#include "ctl/report_file.h"
#include "protocol/report.h"
#include "protocol/start.h"

/* Zero-initialised, but for FILE, it is ready for use. */
struct program_report {
	struct report_file file; /* where each report goes as it came; not open: kept for people */
	struct report exited;	 /* the last word, where there is no file */
};

/* Has REQUEST ask for reports and ATTACH give them to REPORT. */
void program_use_report(
    struct start_request *request, struct attach_options *attach, struct program_report *report);

/* Prints to standard error how it ended, or that this was not told, and frees it; nothing
 * where there is a file. */
void program_print_report(struct program_report *report);

#endif
