/*
 * status: STATUS's JSON, as the agent answers STATUS_REQ with it, both ways.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PROTOCOL_STATUS_H
#define PROTOCOL_STATUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "platform/figures.h"
#include "protocol/json.h"

#define STATUS_SIGNAL_MAX 65

/* One entry a busy worker, detached session, or kept end of a durable session. Texts are borrowed;
 * bytes that are not UTF-8 are sent as U+FFFD. */
struct status_slot {
	const char *kind;
	uint64_t session;
	int32_t pid; /* of the session's main process, or of the worker that serves */
	const char *user;
	const char *command;
	uint64_t age_ms;
	uint64_t bytes_in;
	uint64_t bytes_out;
	const char *name;     /* the host's own; NULL or "": it gave none */
	uint64_t attached_to; /* the session whose output goes to this one's host; 0: none */
	bool is_durable;      /* the next three count */
	uint32_t attached;    /* how many hosts are attached to it, START's own too */
	uint64_t offset;      /* of the end of its output */
	bool running;
	bool has_ended; /* it is kept, and the next two count */
	int32_t code;
	int32_t signal;
	struct figures_session figures; /* where the host asked, and its cgroup counts */
};

struct status {
	const char *version;
	uint32_t protocol;	     /* VMM_GUEST_PROTOCOL_VERSION */
	const char *instance;	     /* drawn when the agent started; NULL or "": not known */
	const char *const *features; /* names of the frames served */
	size_t features_count;
	int32_t pid;
	uint64_t uptime_ms;
	double boot_ms; /* start of the agent until it listened */
	struct {
		uint32_t configured, idle, exec, look, file, control, reserved;
	} workers;
	struct {
		uint64_t started, exited, signaled, timeouts, oom, refused, bad_requests, stalled;
	} sessions;
	struct {
		uint64_t total;
		uint32_t by_signal[STATUS_SIGNAL_MAX]; /* [0]: exits with a status */
		int32_t last_signal;
		int64_t last_unix_ms; /* 0: none yet */
	} worker_deaths;
	uint64_t clock_syncs;
	bool has_generation; /* RESTORED gave one, and the next counts */
	uint64_t generation;
	bool is_quiesced; /* or about to be, and the next counts */
	struct {
		uint64_t number;
		const char *phase;
		uint64_t hold_left_ms;
	} quiesce;
	uint64_t shm_bytes;	 /* that lie in /dev/shm */
	uint64_t max_file_bytes; /* the largest WRITE; 0: not told, by an older agent */
	bool has_guest;		 /* the host asked, and the next counts */
	struct figures guest;
	const struct status_slot *slots;
	size_t slots_count;

	struct json_object *json; /* owns strings and arrays after status_parse() */
};

/* The JSON in a new block that the caller frees; NULL: no memory. */
char *status_format(const struct status *status, size_t *ret_len);

/* The same of one entry of "slots". */
char *status_slot_format(const struct status_slot *slot, size_t *ret_len);

/* Reads the LEN bytes of TEXT. Members that an agent leaves out are 0 or empty: what it
 * can do differs from version to version. Returns 0 with *RET for status_done(); or -EINVAL or
 * -ENOMEM with ERROR filled in. */
int status_parse(const char *text, size_t len, struct status *ret, struct json_error *error);

/* Frees what status_parse() made. */
void status_done(struct status *status);
#define CLEANUP_STATUS __attribute__((cleanup(status_done)))

#endif
