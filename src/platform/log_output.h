/*
 * log_output: where lines of the log go. Nobody waits for their reader: a console can be
 * stopped, a pipe can be full, and the agent must serve.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PLATFORM_LOG_OUTPUT_H
#define PLATFORM_LOG_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>

/* How long a line may wait for room, in milliseconds, once: after a line that found none,
 * lines are dropped at once until one gets through. */
#define LOG_OUTPUT_WAIT_MS 100

/* Takes /dev/kmsg (records as in the kernel's dev-kmsg document), or where that can't
 * be had, or IS_KMSG is false, standard error as it now is; that is the output before
 * the first call too. Pipes and terminals are opened anew by /proc, so that being
 * non-blocking is ours alone; where /proc is not there yet, poll(2) is asked first. */
void log_output_open(bool is_kmsg);

bool log_output_is_kmsg(void);

/* Writes LINE, or drops it. Returns how many lines were dropped before one that got
 * through, the first time after that; else 0. */
unsigned log_output_write(const char *line, size_t len);

#endif
