/*
 * file_entry: entries, lists and events of port 53 as JSON.
 *
 * SPDX-License-Identifier: MIT
 */
#include "protocol/file_entry.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/message.h"
#include "vmm-guest/protocol.h"

#define FILE_LIST_SIZE_FIRST 4096
#define FILE_LISTING_COUNT_FIRST 16
#define FILE_ENTRY_MODE_MAX 07777

static const char *const file_entry_kinds[] = {
	[FILE_ENTRY_FILE] = "file",
	[FILE_ENTRY_DIR] = "dir",
	[FILE_ENTRY_SYMLINK] = "symlink",
	[FILE_ENTRY_OTHER] = "other",
	NULL,
};

static const char *const file_event_kinds[] = {
	[FILE_EVENT_CREATED] = "created",
	[FILE_EVENT_MODIFIED] = "modified",
	[FILE_EVENT_REMOVED] = "removed",
	[FILE_EVENT_RENAMED] = "renamed",
	[FILE_EVENT_UNWATCHED] = "unwatched",
	NULL,
};

#define AT(member) MESSAGE_AT(struct file_entry, member)
#define NUMBER(member) .kind = MESSAGE_UNSIGNED, AT(member), .flags = MESSAGE_ALWAYS

static const struct message_member file_entry_table[] = {
	{ "name", .kind = MESSAGE_BYTES, AT(name), .flags = MESSAGE_NEEDED },
	{ "kind", .kind = MESSAGE_WORD, AT(kind), .flags = MESSAGE_NEEDED | MESSAGE_OPEN,
	    .more = file_entry_kinds },
	{ "size", NUMBER(size), .most = MESSAGE_OFFSETS },
	{ "mode", NUMBER(mode) },
	{ "mtime_secs", .kind = MESSAGE_SIGNED, AT(mtime_secs), .flags = MESSAGE_ALWAYS },
	{ "mtime_nanos", NUMBER(mtime_nanos), .most = MESSAGE_NANOS },
	{ "uid", NUMBER(uid) },
	{ "gid", NUMBER(gid) },
	{ "symlink_target", .kind = MESSAGE_BYTES, AT(symlink_target), .flags = MESSAGE_ALWAYS },
};
static const struct message file_entry_message = MESSAGE_OF(file_entry_table);

static const struct message_member file_event_table[] = {
	{ "kind", .kind = MESSAGE_WORD, MESSAGE_AT(struct file_event, kind),
	    .flags = MESSAGE_NEEDED, .more = file_event_kinds },
	{ "path", .kind = MESSAGE_BYTES, MESSAGE_AT(struct file_event, path),
	    .flags = MESSAGE_NEEDED },
	{ "renamed_to", .kind = MESSAGE_BYTES, MESSAGE_AT(struct file_event, renamed_to),
	    .flags = MESSAGE_ALWAYS },
	{ "error", .kind = MESSAGE_TEXT, MESSAGE_AT(struct file_event, error) },
};
static const struct message file_event_message = MESSAGE_OF(file_event_table);

char *
file_entry_format(const struct file_entry *entry, size_t *ret_len)
{
	return message_format(&file_entry_message, entry, ret_len);
}

/* ---- a list that is made ------------------------------------------------- */

/* Puts LEN bytes at the end of LIST. */
static int
file_list_append(struct file_list *list, const char *text, size_t len)
{
	size_t size = list->size > 0 ? list->size : FILE_LIST_SIZE_FIRST;

	if (len > VMM_GUEST_FRAME_MAX - list->len)
		return -EOVERFLOW;
	while (size < list->len + len)
		size *= 2;
	if (size > list->size) {
		char *grown = realloc(list->text, size);

		if (grown == NULL)
			return -ENOMEM;
		list->text = grown;
		list->size = size;
	}
	memcpy(list->text + list->len, text, len);
	list->len += len;
	return 0;
}

int
file_list_add(struct file_list *list, const struct file_entry *entry)
{
	size_t len;
	char *text = file_entry_format(entry, &len);
	int r;

	if (text == NULL)
		return -ENOMEM;
	r = file_list_append(list, list->len == 0 ? "[" : ",", 1);
	if (r == 0)
		r = file_list_append(list, text, len);
	free(text);
	return r;
}

int
file_list_finish(struct file_list *list)
{
	return list->len == 0 ? file_list_append(list, "[]", 2) : file_list_append(list, "]", 1);
}

void
file_list_done(struct file_list *list)
{
	free(list->text);
	*list = (struct file_list){ 0 };
}

/* ---- a list that is read ------------------------------------------------- */

/* Where the next string of a listing goes. */
struct file_listing_reader {
	struct file_listing listing;
	char *next;
};

/* Moves TEXT, which is the tree's, to the listing's strings, which have room for all that the
 * payload can hold: a string with its NUL is shorter than it was with its quotes. */
static const char *
file_listing_keep(struct file_listing_reader *reader, const char *text)
{
	size_t size = strlen(text) + 1;
	char *kept = memcpy(reader->next, text, size);

	reader->next += size;
	return kept;
}

static int
file_listing_grow(struct file_listing *listing)
{
	size_t size = listing->size > 0 ? 2 * listing->size : FILE_LISTING_COUNT_FIRST;
	struct file_entry *grown;

	if (listing->count < listing->size)
		return 0;
	grown = reallocarray(listing->entries, size, sizeof(*grown));
	if (grown == NULL)
		return -ENOMEM;
	listing->entries = grown;
	listing->size = size;
	return 0;
}

static void
file_listing_take(void *context, struct json_object *object, struct json_error *error)
{
	struct json_object *CLEANUP_JSON owned = object;
	struct file_listing_reader *reader = context;
	struct file_entry entry = { .name = NULL };

	message_read(&file_entry_message, owned, &entry, error);
	if (error->code == 0 && file_listing_grow(&reader->listing) < 0)
		json_fail_memory(error);
	if (error->code < 0)
		return;
	entry.mode &= FILE_ENTRY_MODE_MAX;
	entry.name = file_listing_keep(reader, entry.name);
	entry.symlink_target = file_listing_keep(reader, entry.symlink_target);
	reader->listing.entries[reader->listing.count++] = entry;
}

/* Reads one entry, or as many as there are. */
static int
file_listing_read(
    const char *text, size_t len, bool is_array, struct file_listing *ret, struct json_error *error)
{
	struct file_listing_reader reader = { .listing.strings = malloc(len + 1) };
	struct json_object *object = NULL;

	*error = (struct json_error){ .code = 0 };
	reader.next = reader.listing.strings;
	if (reader.next == NULL)
		json_fail_memory(error);
	else if (is_array)
		(void)json_parse_each(text, len, file_listing_take, &reader, error);
	else if (json_parse_object(text, len, &object, error) == 0)
		file_listing_take(&reader, object, error);
	if (error->code < 0) {
		file_listing_done(&reader.listing);
		return error->code;
	}
	*ret = reader.listing;
	return 0;
}

int
file_listing_parse(const char *text, size_t len, struct file_listing *ret, struct json_error *error)
{
	return file_listing_read(text, len, true, ret, error);
}

int
file_listing_parse_one(
    const char *text, size_t len, struct file_listing *ret, struct json_error *error)
{
	return file_listing_read(text, len, false, ret, error);
}

void
file_listing_done(struct file_listing *listing)
{
	free(listing->entries);
	free(listing->strings);
	*listing = (struct file_listing){ 0 };
}

/* ---- events -------------------------------------------------------------- */

char *
file_event_format(const struct file_event *event, size_t *ret_len)
{
	return message_format(&file_event_message, event, ret_len);
}

int
file_event_parse(const char *text, size_t len, struct file_event *ret,
    struct json_object **ret_json, struct json_error *error)
{
	struct file_event event = { .path = NULL };
	int r = message_parse(&file_event_message, text, len, &event, ret_json, error);

	if (r < 0)
		return r;
	*ret = event;
	return 0;
}

const char *
file_event_name(enum file_event_kind kind)
{
	return file_event_kinds[kind];
}
