/*
 * restored_request: RESTORED's JSON, both ways, and the STATUS that answers it.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PROTOCOL_RESTORED_REQUEST_H
#define PROTOCOL_RESTORED_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol/json.h"
#include "protocol/net_request.h"
#include "protocol/start.h"

/* Each with a member of its own, up to the one for what becomes of a guest that is quiesced. */
enum restored_step {
	RESTORED_CLOCK = 0,
	RESTORED_ENTROPY,
	RESTORED_GENERATION,
	RESTORED_HOSTNAME,
	RESTORED_MACHINE_ID,
	RESTORED_ENV,
	RESTORED_NET,
	RESTORED_THAW, /* all of it; that of the file systems is a step before */
	RESTORED_MEMBERS,
	RESTORED_THAW_FILES = RESTORED_MEMBERS,
	RESTORED_HOLD, /* instead of both */
	RESTORED_STEPS
};

/* What counts has its bit in HAVE. Where a step's error is not empty, it can't be carried
 * out, and that says why. */
struct restored_request {
	uint16_t have; /* 1u << enum restored_step */
	int64_t unix_ns;
	size_t entropy_len;
	uint64_t generation;
	char hostname[VMM_GUEST_HOSTNAME_MAX + 1];
	char machine_id[VMM_GUEST_MACHINE_ID_LEN + 1]; /* in lower case; "": a new one */
	struct start_env *env;
	size_t env_count;
	struct json_object *json; /* owns the variables */
	struct net_request net;
	struct json_error errors[RESTORED_STEPS];
	uint8_t entropy[VMM_GUEST_ENTROPY_MAX]; /* what is above is dropped */
};

/* Reads the LEN bytes of TEXT. A member that makes no sense does not make the whole
 * request bad: its other steps are done all the same. Returns 0 with *RET for
 * restored_request_done(); or -EINVAL or -ENOMEM with
 * ERROR filled in where TEXT is not a JSON object, or there was no memory for all of it. */
int restored_request_parse(
    const char *text, size_t len, struct restored_request *ret, struct json_error *error);

/* Frees what restored_request_parse() made. */
void restored_request_done(struct restored_request *request);

/* The JSON for a host to send, in a new block that the caller frees; NULL: no
 * memory. */
struct restored_format {
	int64_t unix_ns;
	const uint8_t *entropy;
	size_t entropy_len; /* at most VMM_GUEST_ENTROPY_MAX */
	bool has_generation;
	uint64_t generation;
	const char *hostname;	/* NULL: none */
	const char *machine_id; /* hex digits, or "" for a new one; NULL: none */
	bool has_env;
	struct start_env *env;
	size_t env_count;
	const char *ip; /* NULL: no "net" */
	const char *netmask;
	const char *gateway;
	bool holds; /* a guest that is quiesced stays so */
};
char *restored_request_format(const struct restored_format *format, size_t *ret_len);

#define RESTORED_ERRORS_MAX RESTORED_STEPS
#define RESTORED_ERROR_SIZE 192

struct restored_status {
	uint64_t times_us[RESTORED_STEPS]; /* 0: not done */
	uint64_t total_us;
	unsigned errors_count;
	char errors[RESTORED_ERRORS_MAX][RESTORED_ERROR_SIZE];
};

/* STATUS's payload, in a new block that the caller frees; NULL: no memory. */
char *restored_status_format(const struct restored_status *status, size_t *ret_len);

/* Reads it back; errors above RESTORED_ERRORS_MAX are dropped, long ones cut.
 * Returns 0; or -EINVAL or -ENOMEM with ERROR filled in. */
int restored_status_parse(
    const char *text, size_t len, struct restored_status *ret, struct json_error *error);

#endif
