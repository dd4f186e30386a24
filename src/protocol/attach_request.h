/*
 * attach_request: the JSON of ATTACH and FORGET, both ways.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PROTOCOL_ATTACH_REQUEST_H
#define PROTOCOL_ATTACH_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol/json.h"

/* Which durable session, by SESSION or by NAME; and of an ATTACH from where, and what for.
 * Strings are borrowed: after attach_request_parse() from JSON, and for
 * attach_request_format() from the caller. */
struct attach_request {
	bool has_session;
	bool has_instance;
	bool has_from;
	bool has_tail;
	uint64_t session;
	const char *name;     /* NULL or "": by the number */
	const char *instance; /* of the agent that the host means, if HAS_INSTANCE */
	uint64_t from;	      /* the first byte; not with TAIL */
	uint64_t tail;	      /* how many of the last bytes there are */
	bool input;
	bool report;

	struct json_object *json; /* owns the strings after attach_request_parse() */
};

/* Reads the LEN bytes of TEXT, the payload of a frame of TYPE, VMM_GUEST_ATTACH or
 * VMM_GUEST_FORGET. Returns 0 with *RET for attach_request_done(); -EINVAL with ERROR
 * filled in, which names the member; or -ENOMEM, with ERROR too. */
int attach_request_parse(uint8_t type, const char *text, size_t len, struct attach_request *ret,
    struct json_error *error);

/* Frees what attach_request_parse() made. */
void attach_request_done(struct attach_request *request);

/* The payload of a frame of TYPE in a new block that the caller frees; members that have
 * their default are left out. NULL: no memory. */
char *attach_request_format(uint8_t type, const struct attach_request *request, size_t *ret_len);

#endif
