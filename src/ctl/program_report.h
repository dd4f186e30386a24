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
	struct report exited;	 /* the last word */
};

/* Has ATTACH give what comes to REPORT; that it comes is for START to ask. */
void program_keep_report(struct attach_options *attach, struct program_report *report);

/* Prints a line to standard error where the program's end was not its own doing, and frees it. */
void program_say_reason(struct program_report *report);

/* Prints to standard error how it ended, or that this was not told, and frees it; where there is
 * a file, as program_say_reason(). */
void program_print_report(struct program_report *report);

#endif
