/*
 * report: STATUS of a session that asked for it: that it started, how it ended.
 */
#ifndef PROTOCOL_REPORT_H
#define PROTOCOL_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

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
	bool has_cgroup; /* the next two count */
	uint64_t memory_peak_bytes;
	uint64_t oom_kills;
};

/* The payloads, in new blocks that the caller frees; NULL: no memory. */
char *report_started_format(int32_t pid, size_t *ret_len);
char *report_exited_format(const struct report_exited *report, size_t *ret_len);

#endif
