/*
 * file_listing: what port 53 tells of files, read.
 */
#include "protocol/file_listing.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/json.h"

#define FILE_LISTING_MODE_MAX 07777
#define FILE_LISTING_NANOS_MAX 999999999

static const char *const file_listing_kinds[] = {
	[FILE_ENTRY_FILE] = "file",
	[FILE_ENTRY_DIR] = "dir",
	[FILE_ENTRY_SYMLINK] = "symlink",
	[FILE_ENTRY_OTHER] = "other",
};

static const char *const file_listing_events[] = {
	[FILE_EVENT_CREATED] = "created",
	[FILE_EVENT_MODIFIED] = "modified",
	[FILE_EVENT_REMOVED] = "removed",
	[FILE_EVENT_RENAMED] = "renamed",
	[FILE_EVENT_UNWATCHED] = "unwatched",
};

/* The index of WORD among COUNT WORDS, or FALLBACK. */
static int
file_listing_find(const char *word, const char *const *words, int count, int fallback)
{
	for (int i = 0; word != NULL && i < count; i++) {
		if (strcmp(words[i], word) == 0)
			return i;
	}
	return fallback;
}

static void
file_listing_read_entry(
    struct json_object *object, struct file_entry *ret, struct json_error *error)
{
	const char *kind;

	if (!json_object_is_type(object, json_type_object)) {
		json_fail(error, "an entry is no object");
		return;
	}
	kind = json_need_string(object, "kind", error);
	*ret = (struct file_entry){
		.name = json_need_string(object, "name", error),
		.kind = (enum file_entry_kind)file_listing_find(
		    kind, file_listing_kinds, FILE_ENTRY_OTHER, FILE_ENTRY_OTHER),
		.size = json_get_u64(object, "size", INT64_MAX, 0, error),
		.mode = (uint32_t)json_get_u64(object, "mode", UINT32_MAX, 0, error) &
			FILE_LISTING_MODE_MAX,
		.mtime_secs = json_get_i64(object, "mtime_secs", 0, error),
		.mtime_nanos =
		    (uint32_t)json_get_u64(object, "mtime_nanos", FILE_LISTING_NANOS_MAX, 0, error),
		.uid = (uint32_t)json_get_u64(object, "uid", UINT32_MAX, 0, error),
		.gid = (uint32_t)json_get_u64(object, "gid", UINT32_MAX, 0, error),
		.symlink_target = json_get_string(object, "symlink_target", "", error),
	};
}

/* Reads COUNT entries: the elements of JSON, or JSON itself. Takes over JSON. */
static int
file_listing_read(
    struct json_object *json, bool is_array, struct file_listing *ret, struct json_error *error)
{
	struct file_listing listing = { .json = json };

	if (json == NULL)
		return -EBADMSG;
	listing.count = is_array ? json_object_array_length(json) : 1;
	listing.entries = calloc(listing.count + 1, sizeof(*listing.entries));
	if (listing.entries == NULL) {
		file_listing_done(&listing);
		return -ENOMEM;
	}
	for (size_t i = 0; i < listing.count; i++)
		file_listing_read_entry(is_array ? json_object_array_get_idx(json, i) : json,
		    &listing.entries[i], error);
	if (error->text[0] != '\0') {
		file_listing_done(&listing);
		return -EBADMSG;
	}
	*ret = listing;
	return 0;
}

int
file_listing_parse(const char *text, size_t len, struct file_listing *ret, struct json_error *error)
{
	return file_listing_read(json_parse_array(text, len, error), true, ret, error);
}

int
file_listing_parse_one(
    const char *text, size_t len, struct file_listing *ret, struct json_error *error)
{
	return file_listing_read(json_parse_object(text, len, error), false, ret, error);
}

void
file_listing_done(struct file_listing *listing)
{
	free(listing->entries);
	json_put(&listing->json);
	*listing = (struct file_listing){ 0 };
}

int
file_event_parse(const char *text, size_t len, struct file_event *ret,
    struct json_object **ret_json, struct json_error *error)
{
	struct json_object *CLEANUP_JSON json = json_parse_object(text, len, error);
	const char *kind;
	int found;

	if (json == NULL)
		return -EBADMSG;
	kind = json_need_string(json, "kind", error);
	found = file_listing_find(kind, file_listing_events, FILE_EVENT_UNWATCHED + 1, -1);
	if (found < 0)
		json_fail(error, "member 'kind': no such event");
	ret->kind = (enum file_event_kind)found;
	ret->path = json_need_string(json, "path", error);
	ret->renamed_to = json_get_string(json, "renamed_to", "", error);
	ret->error = json_get_string(json, "error", "", error);
	if (error->text[0] != '\0')
		return -EBADMSG;
	*ret_json = json;
	json = NULL;
	return 0;
}

const char *
file_event_name(enum file_event_kind kind)
{
	return file_listing_events[kind];
}
