/*
 * file_request: the JSON of port 53's requests, both ways, by one table of which
 * request has which member.
 */
#include "protocol/file_request.h"

#include <errno.h>
#include <string.h>

#include "vmm-guest/protocol.h"

enum file_member {
	FILE_MEMBER_PATH = 1 << 0,
	FILE_MEMBER_FROM_TO = 1 << 1,
	FILE_MEMBER_MODE = 1 << 2,
	FILE_MEMBER_FSYNC = 1 << 3,
	FILE_MEMBER_RECURSIVE = 1 << 4,
	FILE_MEMBER_RANGE = 1 << 5,
	FILE_MEMBER_USER = 1 << 6,
};

static const struct {
	uint8_t type;
	int members;
} file_request_table[] = {
	{ VMM_GUEST_FILE_WRITE_REQ,
	    FILE_MEMBER_PATH | FILE_MEMBER_MODE | FILE_MEMBER_FSYNC | FILE_MEMBER_USER },
	{ VMM_GUEST_FILE_READ_REQ, FILE_MEMBER_PATH | FILE_MEMBER_RANGE | FILE_MEMBER_USER },
	{ VMM_GUEST_FILE_STAT_REQ, FILE_MEMBER_PATH },
	{ VMM_GUEST_FILE_LIST_REQ, FILE_MEMBER_PATH },
	{ VMM_GUEST_FILE_MKDIR_REQ, FILE_MEMBER_PATH | FILE_MEMBER_MODE },
	{ VMM_GUEST_FILE_REMOVE_REQ, FILE_MEMBER_PATH | FILE_MEMBER_RECURSIVE },
	{ VMM_GUEST_FILE_MOVE_REQ, FILE_MEMBER_FROM_TO },
	{ VMM_GUEST_FILE_WATCH_REQ, FILE_MEMBER_PATH | FILE_MEMBER_RECURSIVE },
};

#define FILE_REQUEST_COUNT (sizeof(file_request_table) / sizeof(file_request_table[0]))

static int
file_request_members(uint8_t type)
{
	for (size_t i = 0; i < FILE_REQUEST_COUNT; i++) {
		if (file_request_table[i].type == type)
			return file_request_table[i].members;
	}
	return 0;
}

int
file_request_parse(
    uint8_t type, const char *text, size_t len, struct file_request *ret, struct json_error *error)
{
	struct file_request request = { .user = "", .length = UINT64_MAX };
	int members = file_request_members(type);
	struct json_object *json = json_parse_object(text, len, error);

	if (json == NULL)
		return -EINVAL;
	request.json = json;
	if (members & FILE_MEMBER_PATH)
		request.path = json_need_string(json, "path", error);
	if (members & FILE_MEMBER_FROM_TO) {
		request.path = json_need_string(json, "from", error);
		request.to = json_need_string(json, "to", error);
	}
	if (members & FILE_MEMBER_MODE)
		request.mode = (uint32_t)json_get_u64(json, "mode", UINT32_MAX, 0, error);
	if (members & FILE_MEMBER_FSYNC)
		request.fsync = json_get_bool(json, "fsync", false, error);
	if (members & FILE_MEMBER_RECURSIVE)
		request.recursive = json_get_bool(json, "recursive", false, error);
	if (members & FILE_MEMBER_RANGE) {
		request.offset = json_get_u64(json, "offset", UINT64_MAX, 0, error);
		request.length = json_get_u64(json, "length", UINT64_MAX, UINT64_MAX, error);
	}
	if (members & FILE_MEMBER_USER)
		request.user = json_get_string(json, "user", "", error);
	if (error->text[0] != '\0') {
		file_request_done(&request);
		return -EINVAL;
	}
	*ret = request;
	return 0;
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
	struct json_object *CLEANUP_JSON json = json_object_new_object();
	int members = file_request_members(type);

	if (json == NULL)
		return NULL;
	if (members & FILE_MEMBER_PATH)
		json_add(json, "path", json_object_new_string(request->path));
	if (members & FILE_MEMBER_FROM_TO) {
		json_add(json, "from", json_object_new_string(request->path));
		json_add(json, "to", json_object_new_string(request->to));
	}
	if (members & FILE_MEMBER_MODE)
		json_add(json, "mode", json_object_new_uint64(request->mode));
	if ((members & FILE_MEMBER_FSYNC) && request->fsync)
		json_add(json, "fsync", json_object_new_boolean(true));
	if (members & FILE_MEMBER_RECURSIVE)
		json_add(json, "recursive", json_object_new_boolean(request->recursive));
	if ((members & FILE_MEMBER_RANGE) && request->offset > 0)
		json_add(json, "offset", json_object_new_uint64(request->offset));
	if ((members & FILE_MEMBER_RANGE) && request->length != UINT64_MAX)
		json_add(json, "length", json_object_new_uint64(request->length));
	if ((members & FILE_MEMBER_USER) && request->user != NULL && request->user[0] != '\0')
		json_add(json, "user", json_object_new_string(request->user));
	return json_to_text(json, ret_len);
}
