/*
 * report: STATUS of a session: that it started, what comes of those who are attached to it,
 * how it ended.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PROTOCOL_REPORT_H
#define PROTOCOL_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol/json.h"

/* No agent's is as long. */
#define REPORT_LEN_MAX 65536

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

enum report_event {
	REPORT_STARTED = 0,
	REPORT_EXITED,
	REPORT_ATTACHED,
	REPORT_LOST, /* output that was overwritten before it was sent here */
	REPORT_INPUT_TAKEN,
	REPORT_DETACHED,
	REPORT_OTHER, /* one that a later agent may send */
};

/* Any of them: the members that are the event's count. Texts are borrowed. */
struct report {
	enum report_event event;
	int32_t pid;	      /* STARTED */
	uint64_t session;     /* STARTED of a durable session, else 0; ATTACHED */
	const char *name;     /* so, else NULL or "" */
	const char *instance; /* so */
	bool has_offset;      /* DETACHED, else no matter */
	uint64_t offset; /* ATTACHED, LOST: the next byte to come; DETACHED: the first not sent */
	uint64_t lost;	 /* ATTACHED, LOST */
	uint64_t stdin_bytes; /* ATTACHED; so the next */
	bool stdin_open;
	bool running;
	bool tty;
	uint16_t columns;
	uint16_t rows;
	const char *why;	     /* DETACHED: NULL or "": the host asked for it */
	struct report_exited exited; /* EXITED */
	struct json_object *json;    /* owns the texts after report_parse() */
};

/* The payload, in a new block that the caller frees; NULL: no memory. */
char *report_format(const struct report *report, size_t *ret_len);

/* Reads the LEN bytes of TEXT. Returns 0 with *RET for report_done(); or -EINVAL, also of more
 * than REPORT_LEN_MAX, or -ENOMEM with ERROR filled in. */
int report_parse(const char *text, size_t len, struct report *ret, struct json_error *error);

/* Frees what report_parse() made. */
void report_done(struct report *report);
#define CLEANUP_REPORT __attribute__((cleanup(report_done)))

#endif
