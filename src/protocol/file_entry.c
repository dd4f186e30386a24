/*
 * file_entry: entries, lists, trees and events of port 53 as JSON.
 *
 * SPDX-License-Identifier: MIT
 */
#include "protocol/file_entry.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "platform/text.h"
#include "protocol/base64.h"
#include "protocol/message.h"
#include "protocol/utf8.h"
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

static const char *const file_entry_types[] = {
	[FILE_ENTRY_NOT_TOLD] = "",
	[FILE_ENTRY_FIFO] = "fifo",
	[FILE_ENTRY_SOCKET] = "socket",
	[FILE_ENTRY_CHAR] = "char",
	[FILE_ENTRY_BLOCK] = "block",
	[FILE_ENTRY_NOT_KNOWN] = "other",
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

enum file_entry_set {
	NAMED = 1 << 0, /* an entry of STAT and LIST */
	PATHED = 1 << FILE_TREE_ENTRY,
	HOLE = 1 << FILE_TREE_HOLE,
	ERROR = 1 << FILE_TREE_ERROR,
	ENTRY = NAMED | PATHED,
};

/* An entry of a tree begins with what an entry is. */
#define AT(member) MESSAGE_AT(struct file_tree_entry, member)
#define USUAL(member) .kind = MESSAGE_UNSIGNED, AT(member)
#define NUMBER(member) USUAL(member), .flags = MESSAGE_ALWAYS

static const struct message_member file_entry_table[] = {
	{ "name", .kind = MESSAGE_BYTES, AT(entry.name), .sets = NAMED, .flags = MESSAGE_NEEDED },
	{ "path", .kind = MESSAGE_BYTES, AT(path), .sets = PATHED | ERROR,
	    .flags = MESSAGE_NEEDED },
	{ "path_b64", .kind = MESSAGE_TEXT, AT(path_b64), .sets = PATHED | ERROR },
	{ "kind", .kind = MESSAGE_WORD, AT(entry.kind), .sets = ENTRY,
	    .flags = MESSAGE_NEEDED | MESSAGE_OPEN, .more = file_entry_kinds },
	{ "type", .kind = MESSAGE_WORD, AT(entry.type), .sets = ENTRY, .flags = MESSAGE_OPEN,
	    .more = file_entry_types },
	{ "size", NUMBER(entry.size), .sets = ENTRY, .most = MESSAGE_OFFSETS },
	{ "mode", NUMBER(entry.mode), .sets = ENTRY },
	{ "mtime_secs", .kind = MESSAGE_SIGNED, AT(entry.mtime_secs), .sets = ENTRY,
	    .flags = MESSAGE_ALWAYS },
	{ "mtime_nanos", NUMBER(entry.mtime_nanos), .sets = ENTRY, .most = MESSAGE_NANOS },
	{ "uid", NUMBER(entry.uid), .sets = NAMED },
	{ "gid", NUMBER(entry.gid), .sets = NAMED },
	{ "symlink_target", .kind = MESSAGE_BYTES, AT(entry.symlink_target), .sets = NAMED,
	    .flags = MESSAGE_ALWAYS },
	/* There are many of these: what is as it mostly is, is left out. */
	{ "uid", USUAL(entry.uid), .sets = PATHED },
	{ "gid", USUAL(entry.gid), .sets = PATHED },
	{ "symlink_target", .kind = MESSAGE_BYTES, AT(entry.symlink_target), .sets = PATHED },
	{ "symlink_target_b64", .kind = MESSAGE_TEXT, AT(target_b64), .sets = PATHED },
	{ "dev", NUMBER(dev), .sets = PATHED },
	{ "ino", NUMBER(ino), .sets = PATHED },
	{ "nlink", USUAL(nlink), .sets = PATHED, .initial = 1 },
	{ "hole", USUAL(hole), .sets = HOLE, .most = MESSAGE_OFFSETS,
	    .flags = MESSAGE_NEEDED | MESSAGE_ALWAYS },
	{ "error", .kind = MESSAGE_TEXT, AT(error), .sets = ERROR, .flags = MESSAGE_NEEDED },
};

static struct message
file_entry_message(unsigned set)
{
	struct message message = MESSAGE_OF(file_entry_table);

	message.set = set;
	return message;
}

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
	const struct message message = file_entry_message(NAMED);

	return message_format(&message, entry, ret_len);
}

/* ---- entries of a tree ---------------------------------------------------- */

/* The base64 of TEXT in a new block, if it is not UTF-8; else NULL. Returns 0 or -ENOMEM. */
static int
file_tree_make_b64(const char *text, char **ret)
{
	size_t len = text != NULL ? strlen(text) : 0;

	*ret = NULL;
	if (len == 0 || utf8_is_valid(text))
		return 0;
	*ret = malloc(BASE64_TEXT_SIZE(len));
	if (*ret == NULL)
		return -ENOMEM;
	base64_format((const uint8_t *)text, len, *ret);
	return 0;
}

char *
file_tree_format(const struct file_tree_entry *entry, size_t *ret_len)
{
	const struct message message = file_entry_message(1u << entry->shape);
	struct file_tree_entry whole = *entry;
	char *target = NULL;
	char *path = NULL;
	char *text = NULL;

	if (file_tree_make_b64(entry->path, &path) == 0 &&
	    file_tree_make_b64(entry->entry.symlink_target, &target) == 0) {
		whole.path_b64 = path;
		whole.target_b64 = target;
		text = message_format(&message, &whole, ret_len);
	}
	free(target);
	free(path);
	return text;
}

/* What the base64 TEXT says in place of *RET, in a block that VALUE owns; "" changes nothing. */
static void
file_tree_take_b64(struct json_object *object, const char *name, const char *text, const char **ret,
    struct json_error *error)
{
	struct json_object *value;
	char *bytes;
	ssize_t len;

	if (error->code < 0 || text == NULL || text[0] == '\0')
		return;
	bytes = malloc(strlen(text));
	if (bytes == NULL) {
		json_fail_memory(error);
		return;
	}
	(void)json_object_object_get_ex(object, name, &value);
	json_own(value, bytes);
	len = base64_parse(text, (uint8_t *)bytes, strlen(text) - 1);
	if (len < 0 || memchr(bytes, '\0', (size_t)len) != NULL) {
		json_fail_member(error, name, "it is not the base64 of a name");
		return;
	}
	bytes[len] = '\0';
	*ret = bytes;
}

int
file_tree_parse(const char *text, size_t len, struct file_tree_entry *ret,
    struct json_object **ret_json, struct json_error *error)
{
	struct json_object *CLEANUP_JSON object = NULL;
	struct file_tree_entry entry = { .shape = FILE_TREE_ENTRY };
	struct message message;
	int r = json_parse_object(text, len, &object, error);

	if (r < 0)
		return r;
	if (json_has(object, "hole"))
		entry.shape = FILE_TREE_HOLE;
	else if (json_has(object, "error"))
		entry.shape = FILE_TREE_ERROR;
	message = file_entry_message(1u << entry.shape);
	message_read(&message, object, &entry, error);
	file_tree_take_b64(object, "path_b64", entry.path_b64, &entry.path, error);
	file_tree_take_b64(
	    object, "symlink_target_b64", entry.target_b64, &entry.entry.symlink_target, error);
	if (error->code < 0)
		return error->code;
	entry.entry.mode &= FILE_ENTRY_MODE_MAX;
	*ret = entry;
	*ret_json = object;
	object = NULL;
	return 0;
}

int
file_hole_parse(const char *text, size_t len, uint64_t *ret, struct json_error *error)
{
	const struct message message = file_entry_message(HOLE);
	struct file_tree_entry entry;
	int r = message_parse(&message, text, len, &entry, NULL, error);

	if (r == 0)
		*ret = entry.hole;
	return r;
}

size_t
file_hole_format(uint64_t hole, char ret[FILE_HOLE_TEXT_MAX])
{
	(void)text_format(ret, FILE_HOLE_TEXT_MAX, "{\"hole\":%" PRIu64 "}", hole);
	return strlen(ret);
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
	const struct message message = file_entry_message(NAMED);

	message_read(&message, owned, &entry, error);
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
