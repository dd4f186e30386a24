/*
 * report: STATUS of a session that asked for it: that it started, how it ended.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PROTOCOL_REPORT_H
#define PROTOCOL_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol/json.h"

/* The event "exited" of the contract. */
struct report_exited {
	int32_t code;
	int32_t signal;
	const char *reason;
	uint64_t wall_ms;
	uint64_t user_ms;
	uint64_t system_ms;
	uint64_t max_rss_kb;
	bool output_held;
	bool has_memory_peak;
	bool has_oom_kills;
	uint64_t memory_peak_bytes; /* where there is a cgroup that counts it; so the next */
	uint64_t oom_kills;
};

/* The payloads, in new blocks that the caller frees; NULL: no memory. */
char *report_started_format(int32_t pid, size_t *ret_len);
char *report_exited_format(const struct report_exited *report, size_t *ret_len);

enum report_event {
	REPORT_STARTED = 0,
	REPORT_EXITED,
	REPORT_OTHER, /* one that a later agent may send */
};

/* Either of them, read. */
struct report {
	enum report_event event;
	int32_t pid; /* REPORT_STARTED */
	struct report_exited exited;
	struct json_object *json; /* owns the strings */
};

/* Reads the LEN bytes of TEXT. Returns 0 with *RET for report_done(); or -EINVAL or
 * -ENOMEM with ERROR filled in. */
int report_parse(const char *text, size_t len, struct report *ret, struct json_error *error);

/* Frees what report_parse() made. */
void report_done(struct report *report);
#define CLEANUP_REPORT __attribute__((cleanup(report_done)))

#endif
