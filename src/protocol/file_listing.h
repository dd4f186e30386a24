/*
 * file_listing: what port 53 tells of files, read: the client's side of
 * protocol/file_entry.h.
 *
 * What comes from a guest is no more trusted than a host is by the agent: numbers
 * are in range, strings have no NUL; what names hold is the caller's to check.
 */
#ifndef PROTOCOL_FILE_LISTING_H
#define PROTOCOL_FILE_LISTING_H

#include <stddef.h>

#include "protocol/file_entry.h"

struct json_error;
struct json_object;

/* Entries, whose strings JSON owns. */
struct file_listing {
	struct file_entry *entries;
	size_t count;
	struct json_object *json;
};

/* FILE_LIST's payload, or with one entry FILE_STAT's. Both return 0 with *RET for
 * file_listing_done(); -EBADMSG with ERROR filled in; or -ENOMEM. */
int file_listing_parse(
    const char *text, size_t len, struct file_listing *ret, struct json_error *error);
int file_listing_parse_one(
    const char *text, size_t len, struct file_listing *ret, struct json_error *error);

/* Frees what these made. */
void file_listing_done(struct file_listing *listing);
#define CLEANUP_LISTING __attribute__((cleanup(file_listing_done)))

/* FILE_EVENT's payload; the strings are *RET_JSON's, for json_put(). Returns as
 * above. */
int file_event_parse(const char *text, size_t len, struct file_event *ret,
    struct json_object **ret_json, struct json_error *error);

/* The contract's word for it, such as "renamed". */
const char *file_event_name(enum file_event_kind kind);

#endif
