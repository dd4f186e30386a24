/*
 * progress: a line on the terminal that tells how far a copy is; none where
 * standard error is no terminal.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CTL_PROGRESS_H
#define CTL_PROGRESS_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct progress {
	_Atomic uint64_t bytes; /* that were copied */
	_Atomic uint64_t files;
	_Atomic uint64_t bytes_total; /* of which is known so far */
	_Atomic uint64_t files_total;
	_Atomic bool total_is_known;

	bool is_shown;
	bool is_drawn;
	bool is_over;
	uint64_t started_ms;
	pthread_t thread;
	pthread_mutex_t lock; /* of the terminal, and the three above */
	pthread_cond_t over;
};

/* Begins; WANTED false: without a line. */
void progress_start(struct progress *progress, bool wanted);

/* Ends, and takes the line away. */
void progress_stop(struct progress *progress);

/* Prints a complaint as command_fail() does, above the line. */
void progress_complain(struct progress *progress, const char *text);

#endif
