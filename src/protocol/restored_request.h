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

/* Where a step's error is not empty, it can't be carried out, and that says why. */
struct restored_request {
	bool has_clock;
	int64_t unix_ns;
	struct json_error clock_error;
	uint8_t entropy[VMM_GUEST_ENTROPY_MAX]; /* what is above is dropped */
	size_t entropy_len;
	struct json_error entropy_error;
	bool has_net;
	struct net_request net;
	struct json_error net_error;
};

/* Reads the LEN bytes of TEXT. A member that makes no sense does not make the whole
 * request bad: its other steps are done all the same. Returns 0; or -EINVAL or -ENOMEM with
 * ERROR filled in where TEXT is not a JSON object. */
int restored_request_parse(
    const char *text, size_t len, struct restored_request *ret, struct json_error *error);

/* The JSON for a host to send, in a new block that the caller frees; NULL: no
 * memory. HAS_NET takes the three dotted quads. */
struct restored_format {
	int64_t unix_ns;
	const uint8_t *entropy;
	size_t entropy_len; /* at most VMM_GUEST_ENTROPY_MAX */
	const char *ip;	    /* NULL: no "net" */
	const char *netmask;
	const char *gateway;
};
char *restored_request_format(const struct restored_format *format, size_t *ret_len);

#define RESTORED_ERRORS_MAX 3
#define RESTORED_ERROR_SIZE 192

struct restored_status {
	uint64_t clock_us;
	uint64_t entropy_us;
	uint64_t net_us;
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
