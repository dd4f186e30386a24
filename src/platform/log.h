/*
 * log: one line each, to standard error or the kernel's log, with the program, the process
 * and the session in front. Nothing here is ever on the path of a reply: callers log
 * after they have sent. A log that nobody reads does not hold the agent up
 * (log_output.h).
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PLATFORM_LOG_H
#define PLATFORM_LOG_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

enum log_level {
	LOG_LEVEL_ERROR = 0,
	LOG_LEVEL_INFO,
	LOG_LEVEL_DEBUG,
};

enum log_target {
	LOG_TARGET_STDERR = 0,
	LOG_TARGET_KMSG, /* /dev/kmsg, records as in the kernel's dev-kmsg document */
};

/* Sets the program's name (kept, not copied), what is logged, and where to.
 * Where /dev/kmsg can't be opened, standard error is used. */
void log_init(const char *program, enum log_level level, enum log_target target);

/* Names the process in front of each line, as "supervisor" or "worker 3";
 * copied, cut at 31 bytes. */
void log_set_process(const char *name);

/* Names the session in front of each line; 0 for none. It has no name yet. */
void log_set_session(uint64_t session);

/* The host's own name of the session, in front of each line too; copied, cut at 64 bytes. It is
 * to be printable. */
void log_set_session_name(const char *name);

/* Logs what has failed, with the text of ERROR, a -errno, behind a colon. */
void log_error(int error, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The same without an error number: what went wrong, what happened, and details. */
#define log_warnx(...) log_write(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_info(...) log_write(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_write(LOG_LEVEL_DEBUG, __VA_ARGS__)
void log_write(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* log_error(), and exits with status 1. Only before the agent is ready. */
#define fatal_error(error, ...) (log_error(error, __VA_ARGS__), exit(1))

/* While IS_QUIET, which is asked before each line, says so, lines are counted and dropped:
 * nothing is written, and no reader of the log waited for. */
void log_set_quiet(bool (*is_quiet)(void));

/* If it is quiet no more, says how many were dropped, if any were. The next line does too. */
void log_end_quiet(void);

/* A budget for lines that a guest program can provoke: BURST of them in each PERIOD_MS.
 * All other members are zero at first. */
struct log_limit {
	uint32_t burst;
	uint32_t period_ms;
	uint64_t started_ms; /* of the current period, CLOCK_MONOTONIC */
	uint32_t used;
	uint32_t dropped;
};

/* log_warnx() within LIMIT. Lines above it are dropped and counted; the first line of the
 * next period ends with their number. */
void log_limited(struct log_limit *limit, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
