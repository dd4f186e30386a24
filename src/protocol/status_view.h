/*
 * status_view: STATUS's JSON read: the client's side of protocol/status.h.
 *
 * Members that an agent leaves out are 0 or empty: what it can do differs from
 * version to version.
 */
#ifndef PROTOCOL_STATUS_VIEW_H
#define PROTOCOL_STATUS_VIEW_H

#include <stddef.h>

#include "protocol/json.h"
#include "protocol/status.h"

/* The answer to STATUS_REQ; strings are JSON's. */
struct status_view {
	struct status status;
	const char **features;
	struct status_slot *slots;
	struct json_object *json;
};

/* Reads the LEN bytes of TEXT. Returns 0 with *RET for status_view_done(); -EBADMSG
 * with ERROR filled in; or -ENOMEM. */
int status_view_parse(
    const char *text, size_t len, struct status_view *ret, struct json_error *error);

/* Frees what status_view_parse() made. */
void status_view_done(struct status_view *view);
#define CLEANUP_STATUS_VIEW __attribute__((cleanup(status_view_done)))

#endif
