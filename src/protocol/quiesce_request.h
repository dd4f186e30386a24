/*
 * quiesce_request: the JSON of QUIESCE and THAW, both ways.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PROTOCOL_QUIESCE_REQUEST_H
#define PROTOCOL_QUIESCE_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol/json.h"

enum quiesce_freeze {
	QUIESCE_FREEZE_SESSIONS = 0,
	QUIESCE_FREEZE_NONE,
};

/* What comes of it when the host that asked has gone. */
enum quiesce_on_gone {
	QUIESCE_ON_GONE_THAW = 0,
	QUIESCE_ON_GONE_HOLD,
};

/* Strings are borrowed: after quiesce_request_parse() from JSON, and for
 * quiesce_request_format() from the caller. */
struct quiesce_request {
	enum quiesce_freeze freeze;
	enum quiesce_on_gone on_gone;
	uint32_t within_ms; /* 1 to VMM_GUEST_WITHIN_MS_MAX */
	uint32_t hold_ms;   /* 1 to VMM_GUEST_HOLD_MS_MAX */
	bool sync;
	bool is_all;	    /* every file system that can be frozen; then no PATHS */
	const char **paths; /* absolute, of the file systems to be frozen */
	size_t paths_count; /* at most VMM_GUEST_FSFREEZE_MAX */

	struct json_object *json; /* owns the strings after quiesce_request_parse() */
};

/* Reads the LEN bytes of TEXT. Returns 0 with *RET for quiesce_request_done(); -EINVAL
 * with ERROR filled in, which names the member; or -ENOMEM, with ERROR too. */
int quiesce_request_parse(
    const char *text, size_t len, struct quiesce_request *ret, struct json_error *error);

/* Frees what quiesce_request_parse() made. */
void quiesce_request_done(struct quiesce_request *request);
#define CLEANUP_QUIESCE_REQUEST __attribute__((cleanup(quiesce_request_done)))

/* The payload in a new block that the caller frees; members that have their default are
 * left out. NULL: no memory. */
char *quiesce_request_format(const struct quiesce_request *request, size_t *ret_len);

/* THAW's payload has no members yet: nothing at all, or an object. Returns 0; or -EINVAL or
 * -ENOMEM with ERROR filled in. */
int quiesce_thaw_parse(const char *text, size_t len, struct json_error *error);

#endif
