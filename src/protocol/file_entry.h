/*
 * file_entry: what port 53 tells of files: entries, lists of them, and events of
 * a watch, as JSON.
 *
 * Names are bytes; what is not UTF-8 in them is sent with U+FFFD in place of each
 * bad byte. What comes from a guest is no more trusted than a host is by the agent:
 * numbers are in range, strings have no NUL; what names hold is the caller's to check.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PROTOCOL_FILE_ENTRY_H
#define PROTOCOL_FILE_ENTRY_H

#include <stddef.h>
#include <stdint.h>

struct json_error;
struct json_object;

enum file_entry_kind {
	FILE_ENTRY_FILE = 0,
	FILE_ENTRY_DIR,
	FILE_ENTRY_SYMLINK,
	FILE_ENTRY_OTHER,
};

/* What is OTHER. */
enum file_entry_type {
	FILE_ENTRY_NOT_TOLD = 0, /* by an older agent, or it can't be looked at */
	FILE_ENTRY_FIFO,
	FILE_ENTRY_SOCKET,
	FILE_ENTRY_CHAR,
	FILE_ENTRY_BLOCK,
	FILE_ENTRY_NOT_KNOWN, /* what only a later agent tells */
};

/* One file; strings are borrowed. */
struct file_entry {
	const char *name;
	enum file_entry_kind kind;
	enum file_entry_type type;
	uint64_t size; /* 0 unless a regular file */
	uint32_t mode; /* low 12 bits */
	int64_t mtime_secs;
	uint32_t mtime_nanos;
	uint32_t uid;
	uint32_t gid;
	const char *symlink_target; /* "" unless a link */
};

/* The entry in a new block that the caller frees; NULL: no memory. */
char *file_entry_format(const struct file_entry *entry, size_t *ret_len);

/* What a FILE_STAT of TREE is. */
enum file_tree_shape {
	FILE_TREE_ENTRY = 1, /* all but HOLE and ERROR */
	FILE_TREE_HOLE,	     /* HOLE alone */
	FILE_TREE_ERROR,     /* PATH and ERROR */
};

/* Strings are borrowed; PATH and ENTRY's target are bytes, without a NUL. */
struct file_tree_entry {
	struct file_entry entry; /* without a name */
	const char *path;	 /* below the root of the tree; "": the root itself */
	const char *error;	 /* an errno's name */
	uint64_t dev;
	uint64_t ino;
	uint64_t nlink;
	uint64_t hole; /* bytes of it */
	enum file_tree_shape shape;

	const char *path_b64; /* these two are file_tree_format()'s and file_tree_parse()'s */
	const char *target_b64;
};

/* The entry in a new block that the caller frees; NULL: no memory. */
char *file_tree_format(const struct file_tree_entry *entry, size_t *ret_len);

/* FILE_STAT's payload in TREE; the strings are *RET_JSON's, for json_put(). Returns 0; or
 * -EINVAL or -ENOMEM with ERROR filled in. */
int file_tree_parse(const char *text, size_t len, struct file_tree_entry *ret,
    struct json_object **ret_json, struct json_error *error);

/* The bytes of a hole, of a FILE_STAT that is sent in WRITE: under 2^63. Returns as
 * file_tree_parse(). */
int file_hole_parse(const char *text, size_t len, uint64_t *ret, struct json_error *error);

/* The payload that says so. Returns its length, without the NUL. */
#define FILE_HOLE_TEXT_MAX 32
size_t file_hole_format(uint64_t hole, char ret[FILE_HOLE_TEXT_MAX]);

/* An entry has at least this many bytes, which bounds what a list can hold. */
#define FILE_ENTRY_TEXT_MIN 100

/* A list that is being made. Zero-initialised it is ready for use. */
struct file_list {
	char *text;
	size_t len;
	size_t size;
};

/* Puts ENTRY at the end. Returns 0, -ENOMEM, or -EOVERFLOW if the list would be
 * longer than VMM_GUEST_FRAME_MAX. */
int file_list_add(struct file_list *list, const struct file_entry *entry);

/* Makes it whole; TEXT and LEN are then the payload of FILE_LIST. Returns as
 * file_list_add(). */
int file_list_finish(struct file_list *list);

/* Frees it. */
void file_list_done(struct file_list *list);

/* Entries, read. Zero-initialised it is ready for file_listing_done(). */
struct file_listing {
	struct file_entry *entries;
	size_t count;
	size_t size;   /* room in ENTRIES */
	char *strings; /* what the entries point to */
};

/* FILE_LIST's payload, or with one entry FILE_STAT's. Both return 0 with *RET for
 * file_listing_done(); or -EINVAL or -ENOMEM with ERROR filled in. They take an
 * entry at a time, so that memory is what the entries themselves come to: no more than
 * 4 times LEN. */
int file_listing_parse(
    const char *text, size_t len, struct file_listing *ret, struct json_error *error);
int file_listing_parse_one(
    const char *text, size_t len, struct file_listing *ret, struct json_error *error);

/* Frees what these made. */
void file_listing_done(struct file_listing *listing);
#define CLEANUP_LISTING __attribute__((cleanup(file_listing_done)))

enum file_event_kind {
	FILE_EVENT_CREATED = 0,
	FILE_EVENT_MODIFIED,
	FILE_EVENT_REMOVED,
	FILE_EVENT_RENAMED,
	FILE_EVENT_UNWATCHED,
};

/* Something that happened to PATH; RENAMED_TO is "" unless it was renamed, ERROR (an
 * errno's name) unless it can't be watched. */
struct file_event {
	enum file_event_kind kind;
	const char *path;
	const char *renamed_to;
	const char *error;
};

/* The event in a new block that the caller frees; NULL: no memory. */
char *file_event_format(const struct file_event *event, size_t *ret_len);

/* FILE_EVENT's payload; the strings are *RET_JSON's, for json_put(). Returns as
 * file_listing_parse(). */
int file_event_parse(const char *text, size_t len, struct file_event *ret,
    struct json_object **ret_json, struct json_error *error);

/* The contract's word for it, such as "renamed". */
const char *file_event_name(enum file_event_kind kind);

#endif
