/*
 * quiesce_status: the STATUS that says what became of a QUIESCE: that the guest is
 * quiesced, or why not, and that it is thawed. Both ways.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PROTOCOL_QUIESCE_STATUS_H
#define PROTOCOL_QUIESCE_STATUS_H

#include <stddef.h>
#include <stdint.h>

#include "protocol/json.h"

enum quiesce_event {
	QUIESCE_EVENT_QUIESCED = 0,
	QUIESCE_EVENT_THAWED,
	QUIESCE_EVENT_OTHER, /* one that a later agent may send */
};

/* What ended it. */
enum quiesce_thaw_why {
	QUIESCE_THAW_HOST = 0, /* the host's own THAW, on the same connection */
	QUIESCE_THAW_GONE,     /* that host has gone, or the worker that served it */
	QUIESCE_THAW_EXPIRED,
	QUIESCE_THAW_THAW, /* THAW on another connection */
	QUIESCE_THAW_RESTORED,
	QUIESCE_THAW_SHUTDOWN,
	QUIESCE_THAW_OTHER,
};

/* Texts are borrowed; bytes that are not UTF-8 are sent as U+FFFD. */
struct quiesce_step {
	const char *name;
	uint64_t us;
	const char *error; /* "": none; else the name of an errno, a colon, and words */
};

/* A file system that was frozen, or that was skipped, and WHY. */
struct quiesce_place {
	const char *path; /* of its mount point */
	const char *type;
	const char *why; /* NULL or "": it was frozen */
};

struct quiesce_status {
	enum quiesce_event event;
	enum quiesce_thaw_why why;	  /* THAWED */
	const char *error;		  /* QUIESCED, NULL or "": it is; else why it is not */
	const struct quiesce_step *steps; /* of QUIESCED; so the rest */
	size_t steps_count;
	const struct quiesce_place *frozen;
	size_t frozen_count;
	const struct quiesce_place *skipped;
	size_t skipped_count;

	struct json_object *json; /* owns texts and arrays after quiesce_status_parse() */
};

/* The payload, in a new block that the caller frees; NULL: no memory. */
char *quiesce_status_format(const struct quiesce_status *status, size_t *ret_len);

/* Reads the LEN bytes of TEXT. Returns 0 with *RET for quiesce_status_done(); or -EINVAL or
 * -ENOMEM with ERROR filled in. */
int quiesce_status_parse(
    const char *text, size_t len, struct quiesce_status *ret, struct json_error *error);

/* Frees what quiesce_status_parse() made. */
void quiesce_status_done(struct quiesce_status *status);
#define CLEANUP_QUIESCE_STATUS __attribute__((cleanup(quiesce_status_done)))

#endif
