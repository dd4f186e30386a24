/*
 * progress: a line on the terminal that tells how far a copy is; none where
 * standard error is not a terminal.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CTL_PROGRESS_H
#define CTL_PROGRESS_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* How often it is drawn anew. */
#define PROGRESS_PERIOD_MS 100

struct progress {
	_Atomic uint64_t bytes; /* that were copied */
	_Atomic uint64_t files;
	_Atomic uint64_t bytes_total; /* of which is known so far */
	_Atomic uint64_t files_total;
	_Atomic bool total_is_known;

	_Atomic uint64_t due_ms; /* when it is drawn next */
	bool is_shown;
	bool is_drawn;
	uint64_t started_ms;
	pthread_mutex_t lock; /* of the terminal */
};

/* Begins; WANTED false: without a line. */
void progress_start(struct progress *progress, bool wanted);

/* Adds BYTES that were copied, or takes away some whose file failed, and draws the line
 * anew where it is time for that: it is called often, by any thread, also with nothing to add. */
void progress_add(struct progress *progress, int64_t bytes);

/* Ends, when no thread adds any more, and takes the line away. */
void progress_stop(struct progress *progress);

/* Prints a complaint as command_fail() does, above the line. */
void progress_complain(struct progress *progress, const char *text);

#endif
