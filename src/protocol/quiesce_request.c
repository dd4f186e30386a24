/*
 * SPDX-License-Identifier: MIT
 */
#include "protocol/quiesce_request.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/message.h"
#include "vmm-guest/protocol.h"

#define QUIESCE_ALL "all"

static const char *const quiesce_freezes[] = {
	[QUIESCE_FREEZE_SESSIONS] = "sessions",
	[QUIESCE_FREEZE_NONE] = "none",
	NULL,
};

static const char *const quiesce_on_gones[] = {
	[QUIESCE_ON_GONE_THAW] = "thaw",
	[QUIESCE_ON_GONE_HOLD] = "hold",
	NULL,
};

static message_read_fn quiesce_read_paths;
static message_make_fn quiesce_make_paths;
static message_is_initial_fn quiesce_is_without_paths;
static const struct message_kind quiesce_paths = { quiesce_read_paths, quiesce_make_paths,
	quiesce_is_without_paths };

#define AT(member) MESSAGE_AT(struct quiesce_request, member)

static const struct message_member quiesce_table[] = {
	{ "freeze", .kind = MESSAGE_WORD, AT(freeze), .more = quiesce_freezes },
	{ "sync", .kind = MESSAGE_FLAG, AT(sync), .initial = true },
	{ "fsfreeze", .kind = MESSAGE_CUSTOM, .more = &quiesce_paths },
	{ "within_ms", .kind = MESSAGE_UNSIGNED, AT(within_ms), .least = MESSAGE_FROM_1,
	    .most = MESSAGE_WITHIN, .initial = VMM_GUEST_WITHIN_MS_DEFAULT },
	{ "hold_ms", .kind = MESSAGE_UNSIGNED, AT(hold_ms), .least = MESSAGE_FROM_1,
	    .most = MESSAGE_HOLD, .initial = VMM_GUEST_HOLD_MS_DEFAULT },
	{ "on_gone", .kind = MESSAGE_WORD, AT(on_gone), .more = quiesce_on_gones },
};
static const struct message quiesce_message = MESSAGE_OF(quiesce_table);

/* ---- "all", or an array of paths ----------------------------------------- */

static void
quiesce_read_path(const struct message_member *member, struct json_object *value,
    const char **place, struct json_error *error)
{
	*place = json_string_of(value, member->name, error);
	if (*place != NULL && (*place)[0] != '/')
		json_fail_member(error, member->name, "a path is not absolute");
}

static void
quiesce_read_array(const struct message_member *member, struct json_object *value,
    struct quiesce_request *request, struct json_error *error)
{
	size_t count = json_object_array_length(value);

	if (count > VMM_GUEST_FSFREEZE_MAX) {
		json_fail(
		    error, "member '%s': more than %u paths", member->name, VMM_GUEST_FSFREEZE_MAX);
		return;
	}
	request->paths = calloc(count + 1, sizeof(*request->paths));
	if (request->paths == NULL) {
		json_fail_memory(error);
		return;
	}
	json_own(value, request->paths);
	request->paths_count = count;
	for (size_t i = 0; i < count; i++)
		quiesce_read_path(
		    member, json_object_array_get_idx(value, i), &request->paths[i], error);
}

static void
quiesce_read_paths(const struct message_member *member, struct json_object *value, void *base,
    struct json_error *error)
{
	struct quiesce_request *request = base;

	if (json_object_is_type(value, json_type_array)) {
		quiesce_read_array(member, value, request, error);
		return;
	}
	request->is_all = json_object_is_type(value, json_type_string) &&
			  strcmp(json_object_get_string(value), QUIESCE_ALL) == 0;
	if (!request->is_all)
		json_fail_member(
		    error, member->name, "an array of paths or \"" QUIESCE_ALL "\" is needed");
}

static struct json_object *
quiesce_make_paths(const struct message_member *member, const void *base)
{
	const struct quiesce_request *request = base;
	struct json_object *array;
	int r = 0;

	(void)member;
	if (request->is_all)
		return json_object_new_string(QUIESCE_ALL);
	array = json_object_new_array();
	if (array == NULL)
		return NULL;
	for (size_t i = 0; r == 0 && i < request->paths_count; i++)
		r = json_append(array, json_object_new_string(request->paths[i]));
	if (r < 0)
		json_put(&array);
	return array;
}

static bool
quiesce_is_without_paths(const struct message_member *member, const void *base)
{
	const struct quiesce_request *request = base;

	(void)member;
	return !request->is_all && request->paths_count == 0;
}

/* ---- QUIESCE ------------------------------------------------------------- */

int
quiesce_request_parse(
    const char *text, size_t len, struct quiesce_request *ret, struct json_error *error)
{
	struct quiesce_request request = { .is_all = false };
	int r = message_parse(&quiesce_message, text, len, &request, &request.json, error);

	if (r < 0)
		return r;
	*ret = request;
	return 0;
}

void
quiesce_request_done(struct quiesce_request *request)
{
	json_put(&request->json);
	*request = (struct quiesce_request){ 0 };
}

char *
quiesce_request_format(const struct quiesce_request *request, size_t *ret_len)
{
	return message_format(&quiesce_message, request, ret_len);
}

/* ---- THAW ---------------------------------------------------------------- */

int
quiesce_thaw_parse(const char *text, size_t len, struct json_error *error)
{
	struct json_object *CLEANUP_JSON object = NULL;

	return len > 0 ? json_parse_object(text, len, &object, error) : 0;
}
