/*
 * file_entry: what port 53 tells of files: entries, lists of them, and events of
 * a watch, as JSON.
 *
 * Names are bytes; what is not UTF-8 in them is sent with U+FFFD in place of each
 * bad byte.
 */
#ifndef PROTOCOL_FILE_ENTRY_H
#define PROTOCOL_FILE_ENTRY_H

#include <stddef.h>
#include <stdint.h>

enum file_entry_kind {
	FILE_ENTRY_FILE = 0,
	FILE_ENTRY_DIR,
	FILE_ENTRY_SYMLINK,
	FILE_ENTRY_OTHER,
};

/* One file; strings are borrowed. */
struct file_entry {
	const char *name;
	enum file_entry_kind kind;
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

/* An entry has at least so many bytes, which bounds what a list can hold. */
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

#endif
