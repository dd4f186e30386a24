/*
 * request_table: all requests that a connection may begin with, and for each how it is
 * admitted, refused and served.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SESSION_REQUEST_TABLE_H
#define SESSION_REQUEST_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shared/admission.h"
#include "session/session.h"

/* What becomes of a request while the guest is quiesced. */
enum request_quiesced {
	REQUEST_SERVED = 0,
	REQUEST_WAITS, /* until that is over, or it is refused */
	REQUEST_THAWS, /* and is served then */
};

struct request {
	uint8_t type;	     /* of the first frame */
	uint8_t reply_style; /* enum slot_reply_style: its port, and how it is refused */
	uint8_t admission;   /* enum admission_class */
	uint8_t quiesced;    /* enum request_quiesced */
	bool is_large;	     /* it may make much in the heap, which is not to stay */
	const char *name;    /* in titles, logs and STATUS */
	const char *feature; /* in STATUS's features */
	session_serve_fn *serve;
};

/* The request whose first frame has TYPE, on the file port or the exec port; NULL if
 * there is none. */
const struct request *request_table_find(bool is_file_port, uint8_t type);

/* The names of all frames served, and `more` and `hole`, for STATUS. *RET_COUNT of them; static. */
const char *const *request_table_features(size_t *ret_count);

#endif
