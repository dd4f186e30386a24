/*
 * file_request: the JSON of port 53's requests, both ways, by one table of which
 * request has which member.
 *
 * SPDX-License-Identifier: MIT
 */
#include "protocol/file_request.h"

#include <limits.h>
#include <string.h>

#include "protocol/message.h"
#include "vmm-guest/protocol.h"

enum file_request_set {
	WRITE = 1 << 0,
	READ = 1 << 1,
	STAT = 1 << 2,
	LIST = 1 << 3,
	MKDIR = 1 << 4,
	REMOVE = 1 << 5,
	MOVE = 1 << 6,
	WATCH = 1 << 7,
	SYMLINK = 1 << 8,
	SET = 1 << 9,
	TREE = 1 << 10,
	LINK = 1 << 11,
	EVERY = (1 << 12) - 1,
	FROM_TO = MOVE | LINK,
};

static const struct {
	uint8_t type;
	uint16_t set;
} file_request_types[] = {
	{ VMM_GUEST_FILE_WRITE_REQ, WRITE },
	{ VMM_GUEST_FILE_READ_REQ, READ },
	{ VMM_GUEST_FILE_STAT_REQ, STAT },
	{ VMM_GUEST_FILE_LIST_REQ, LIST },
	{ VMM_GUEST_FILE_MKDIR_REQ, MKDIR },
	{ VMM_GUEST_FILE_REMOVE_REQ, REMOVE },
	{ VMM_GUEST_FILE_MOVE_REQ, MOVE },
	{ VMM_GUEST_FILE_WATCH_REQ, WATCH },
	{ VMM_GUEST_FILE_SYMLINK_REQ, SYMLINK },
	{ VMM_GUEST_FILE_SET_REQ, SET },
	{ VMM_GUEST_FILE_TREE_REQ, TREE },
	{ VMM_GUEST_FILE_LINK_REQ, LINK },
};

#define AT(member) MESSAGE_AT(struct file_request, member)
#define TEXT(member) .kind = MESSAGE_TEXT, AT(member)
#define NUMBER(member) .kind = MESSAGE_UNSIGNED, AT(member)
#define FLAG(member) .kind = MESSAGE_FLAG, AT(member)

#define SIGNED(member) .kind = MESSAGE_SIGNED, AT(member)
#define HAS(member) .beside = offsetof(struct file_request, member), .bit = true

static const struct message_member file_request_table[] = {
	{ "path", TEXT(path), .sets = EVERY & ~FROM_TO, .flags = MESSAGE_NEEDED },
	{ "from", TEXT(path), .sets = FROM_TO, .flags = MESSAGE_NEEDED },
	{ "to", TEXT(to), .sets = FROM_TO, .flags = MESSAGE_NEEDED },
	{ "target", TEXT(target), .sets = SYMLINK, .flags = MESSAGE_NEEDED },
	{ "mode", NUMBER(mode), .sets = WRITE | MKDIR, HAS(has_mode),
	    .flags = MESSAGE_OPTIONAL | MESSAGE_ALWAYS },
	{ "mode", NUMBER(mode), .sets = SET, HAS(has_mode), .flags = MESSAGE_OPTIONAL },
	{ "uid", NUMBER(uid), .most = MESSAGE_IDS, .sets = WRITE | MKDIR | SET, HAS(has_uid),
	    .flags = MESSAGE_OPTIONAL },
	{ "gid", NUMBER(gid), .most = MESSAGE_IDS, .sets = WRITE | MKDIR | SET, HAS(has_gid),
	    .flags = MESSAGE_OPTIONAL },
	{ "mtime_secs", SIGNED(mtime_secs), .sets = WRITE | MKDIR | SET, HAS(has_mtime),
	    .flags = MESSAGE_OPTIONAL },
	{ "mtime_nanos", NUMBER(mtime_nanos), .most = MESSAGE_NANOS, .sets = WRITE | MKDIR | SET,
	    .beside = offsetof(struct file_request, has_mtime), .flags = MESSAGE_OPTIONAL },
	{ "fsync", FLAG(fsync), .sets = WRITE },
	{ "recursive", FLAG(recursive), .sets = REMOVE | WATCH, .flags = MESSAGE_ALWAYS },
	{ "gaps", FLAG(gaps), .sets = WATCH },
	{ "more", FLAG(more), .sets = EVERY & ~WATCH },
	{ "offset", NUMBER(offset), .sets = READ },
	{ "length", NUMBER(length), .sets = READ, .initial = UINT64_MAX },
	{ "one_file_system", FLAG(one_file_system), .sets = TREE, .initial = true },
	{ "max_entries", NUMBER(max_entries), .sets = TREE, .initial = UINT64_MAX },
	{ "user", TEXT(user), .sets = EVERY },
};

/* The members of a frame of TYPE. */
static struct message
file_request_message(uint8_t type)
{
	struct message message = MESSAGE_OF(file_request_table);

	for (size_t i = 0; i < sizeof(file_request_types) / sizeof(file_request_types[0]); i++) {
		if (file_request_types[i].type == type)
			message.set = file_request_types[i].set;
	}
	return message;
}

/* What the table can't say. What no link can say is refused here, as its error would seem
 * to be the path's. */
static void
file_request_check(uint32_t set, const struct file_request *request, struct json_error *error)
{
	size_t len = request->target != NULL ? strlen(request->target) : 0;

	if (request->target != NULL && len == 0)
		json_fail_member(error, "target", "it is empty");
	else if (len >= PATH_MAX)
		json_fail(error, "member 'target': %zu bytes, the most is %d", len, PATH_MAX - 1);
	if ((set & (WRITE | MKDIR | SET)) && !request->has_mtime &&
	    json_has(request->json, "mtime_nanos"))
		json_fail(error, "member 'mtime_secs' is missing");
}

int
file_request_parse(
    uint8_t type, const char *text, size_t len, struct file_request *ret, struct json_error *error)
{
	const struct message message = file_request_message(type);
	struct file_request request = {
		.user = "", .length = UINT64_MAX, .max_entries = UINT64_MAX
	};
	int r = message_parse(&message, text, len, &request, &request.json, error);

	if (r == 0)
		file_request_check(message.set, &request, error);
	if (r == 0 && error->code == 0) {
		*ret = request;
		return 0;
	}
	ret->more = request.more;
	json_put(&request.json);
	return error->code;
}

void
file_request_done(struct file_request *request)
{
	json_put(&request->json);
	*request = (struct file_request){ 0 };
}

char *
file_request_format(uint8_t type, const struct file_request *request, size_t *ret_len)
{
	const struct message message = file_request_message(type);

	return message_format(&message, request, ret_len);
}
