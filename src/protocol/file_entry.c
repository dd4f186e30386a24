/*
 * file_entry: entries, lists and events of port 53 as JSON.
 */
#include "protocol/file_entry.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/json.h"
#include "protocol/utf8.h"
#include "vmm-guest/protocol.h"

#define FILE_LIST_SIZE_FIRST 4096

static const char *const file_entry_kinds[] = {
	[FILE_ENTRY_FILE] = "file",
	[FILE_ENTRY_DIR] = "dir",
	[FILE_ENTRY_SYMLINK] = "symlink",
	[FILE_ENTRY_OTHER] = "other",
};

static const char *const file_event_kinds[] = {
	[FILE_EVENT_CREATED] = "created",
	[FILE_EVENT_MODIFIED] = "modified",
	[FILE_EVENT_REMOVED] = "removed",
	[FILE_EVENT_RENAMED] = "renamed",
	[FILE_EVENT_UNWATCHED] = "unwatched",
};

/* Adds a member and takes over VALUE, which is NULL where there was no memory. */
static bool
file_entry_add(struct json_object *object, const char *name, struct json_object *value)
{
	if (value != NULL && json_object_object_add(object, name, value) == 0)
		return true;
	json_put(&value);
	return false;
}

static bool
file_entry_add_name(struct json_object *object, const char *name, const char *bytes)
{
	size_t size = strlen(bytes) * 3 + 1;
	char *text = malloc(size);
	bool added;

	if (text == NULL)
		return false;
	(void)utf8_make_valid(bytes, text, size);
	added = file_entry_add(object, name, json_object_new_string(text));
	free(text);
	return added;
}

char *
file_entry_format(const struct file_entry *entry, size_t *ret_len)
{
	struct json_object *CLEANUP_JSON json = json_object_new_object();

	if (json == NULL || !file_entry_add_name(json, "name", entry->name) ||
	    !file_entry_add(json, "kind", json_object_new_string(file_entry_kinds[entry->kind])) ||
	    !file_entry_add(json, "size", json_object_new_uint64(entry->size)) ||
	    !file_entry_add(json, "mode", json_object_new_uint64(entry->mode)) ||
	    !file_entry_add(json, "mtime_secs", json_object_new_int64(entry->mtime_secs)) ||
	    !file_entry_add(json, "mtime_nanos", json_object_new_uint64(entry->mtime_nanos)) ||
	    !file_entry_add(json, "uid", json_object_new_uint64(entry->uid)) ||
	    !file_entry_add(json, "gid", json_object_new_uint64(entry->gid)) ||
	    !file_entry_add_name(json, "symlink_target", entry->symlink_target))
		return NULL;
	return json_to_text(json, ret_len);
}

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

char *
file_event_format(const struct file_event *event, size_t *ret_len)
{
	struct json_object *CLEANUP_JSON json = json_object_new_object();

	if (json == NULL ||
	    !file_entry_add(json, "kind", json_object_new_string(file_event_kinds[event->kind])) ||
	    !file_entry_add_name(json, "path", event->path) ||
	    !file_entry_add_name(json, "renamed_to", event->renamed_to))
		return NULL;
	if (event->kind == FILE_EVENT_UNWATCHED &&
	    !file_entry_add(json, "error", json_object_new_string(event->error)))
		return NULL;
	return json_to_text(json, ret_len);
}
