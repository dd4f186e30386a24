/*
 * file_request: the JSON of port 53's requests, both ways.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PROTOCOL_FILE_REQUEST_H
#define PROTOCOL_FILE_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol/json.h"

/* Any request of port 53; each kind uses the members that the contract gives
 * it. Strings are borrowed: after file_request_parse() from JSON. */
struct file_request {
	const char *path;   /* MOVE and LINK: "from" */
	const char *to;	    /* these two alone */
	const char *target; /* SYMLINK alone: what the link says */
	const char *user;   /* "": the agent's own rights */
	bool has_mode;	    /* the others of this kind: the value counts only where it is true */
	bool has_mtime;
	bool has_uid;
	bool has_gid;
	uint32_t mode;	      /* WRITE, MKDIR: 0 is as good as none */
	uint32_t mtime_nanos; /* under 1000000000 */
	int64_t mtime_secs;
	uint32_t uid;
	uint32_t gid;
	bool fsync;
	bool recursive;
	bool gaps;	      /* WATCH alone: `unwatched` is understood */
	bool one_file_system; /* TREE alone */
	bool more;	      /* the host has other requests to come on the connection */
	uint64_t offset;
	uint64_t length;      /* UINT64_MAX: to the end */
	uint64_t max_entries; /* TREE alone; UINT64_MAX: as many as there are */

	struct json_object *json; /* owns the strings after file_request_parse() */
};

/* Reads the LEN bytes of TEXT as the payload of a frame of TYPE (of enum
 * vmm_guest_file_frame). Returns 0 with *RET for file_request_done(); or -EINVAL or
 * -ENOMEM with ERROR filled in, and of *RET `more` alone, if it could be read. Paths are
 * given as they came: an empty one is the session's to refuse. */
int file_request_parse(
    uint8_t type, const char *text, size_t len, struct file_request *ret, struct json_error *error);

/* Frees what file_request_parse() made. */
void file_request_done(struct file_request *request);

/* The payload of a frame of TYPE in a new block that the caller frees. NULL: no
 * memory. */
char *file_request_format(uint8_t type, const struct file_request *request, size_t *ret_len);

#endif
