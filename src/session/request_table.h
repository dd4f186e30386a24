/*
 * request_table: the table of what a connection may ask for first, through which a worker
 * finds the kind of session that serves it.
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

struct request {
	uint8_t type;	     /* of the first frame */
	uint8_t reply_style; /* enum slot_reply_style: its port, and how it is refused */
	uint8_t places;	     /* enum admission_class */
	const char *name;    /* in titles, logs and STATUS */
	const char *feature; /* in STATUS's features */
	session_serve_fn *serve;
};

/* The kind for a first frame of TYPE on the exec port or the file port; NULL if
 * there is none. */
const struct request *request_table_find(bool is_file_port, uint8_t type);

/* The names of all frames served, for STATUS. *RET_COUNT of them; static. */
const char *const *request_table_features(size_t *ret_count);

/* Refuses a request in the way of VOICE (STDERR and EXIT 125, EXIT -1, FILE_ERR)
 * with TEXT; for FILE_ERR, ERRNO_NAME stands in front ("EBUSY"). Of an upload,
 * what the host has on its way is read for a second, so that it sees the answer
 * and not a reset; not longer, as this worker may be the last one. */
void request_table_refuse(struct session *session, enum slot_reply_style reply_style,
    bool is_upload, const char *errno_name, const char *text);

#endif
