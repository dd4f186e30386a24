/*
 * report_file: the FILE of --report=FILE: the agent's own words, as JSON, one a line.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CTL_REPORT_FILE_H
#define CTL_REPORT_FILE_H

#include <stddef.h>
#include <stdio.h>

struct report_file {
	const char *path; /* NULL: none, and nothing below does anything */
	FILE *out;	  /* NULL: it is not open */
	size_t len;
	int error; /* an errno, if it could not be written */
};

/* Opens it. Returns -1 to go on, or the exit status, after a complaint. */
int report_file_open(struct report_file *file);

/* One more report goes there, at once. A guest could send them for ever: there is a limit. */
void report_file_put(struct report_file *file, const char *text, size_t len);

/* Closes it. Returns the exit status, which is STATUS unless that hides what is missing. */
int report_file_close(struct report_file *file, int status);

#endif
