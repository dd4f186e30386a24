/*
 * file_request: the JSON of port 53's requests, both ways, by one table of which
 * request has which member.
 */
#include "protocol/file_request.h"

#include <errno.h>
#include <limits.h>
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
	FILE_MEMBER_OWNER = 1 << 7,
	FILE_MEMBER_MTIME = 1 << 8,
	FILE_MEMBER_TARGET = 1 << 9,
	FILE_MEMBER_CHMOD = 1 << 10, /* a mode that may be 0 */
	FILE_MEMBER_GAPS = 1 << 11,
};

#define FILE_REQUEST_NANOS_MAX 999999999

static const struct {
	uint8_t type;
	int members;
} file_request_table[] = {
	{ VMM_GUEST_FILE_WRITE_REQ, FILE_MEMBER_PATH | FILE_MEMBER_MODE | FILE_MEMBER_OWNER |
					FILE_MEMBER_MTIME | FILE_MEMBER_FSYNC | FILE_MEMBER_USER },
	{ VMM_GUEST_FILE_READ_REQ, FILE_MEMBER_PATH | FILE_MEMBER_RANGE | FILE_MEMBER_USER },
	{ VMM_GUEST_FILE_STAT_REQ, FILE_MEMBER_PATH | FILE_MEMBER_USER },
	{ VMM_GUEST_FILE_LIST_REQ, FILE_MEMBER_PATH | FILE_MEMBER_USER },
	{ VMM_GUEST_FILE_MKDIR_REQ, FILE_MEMBER_PATH | FILE_MEMBER_MODE | FILE_MEMBER_OWNER |
					FILE_MEMBER_MTIME | FILE_MEMBER_USER },
	{ VMM_GUEST_FILE_REMOVE_REQ, FILE_MEMBER_PATH | FILE_MEMBER_RECURSIVE | FILE_MEMBER_USER },
	{ VMM_GUEST_FILE_MOVE_REQ, FILE_MEMBER_FROM_TO | FILE_MEMBER_USER },
	{ VMM_GUEST_FILE_WATCH_REQ,
	    FILE_MEMBER_PATH | FILE_MEMBER_RECURSIVE | FILE_MEMBER_GAPS | FILE_MEMBER_USER },
	{ VMM_GUEST_FILE_SYMLINK_REQ, FILE_MEMBER_PATH | FILE_MEMBER_TARGET | FILE_MEMBER_USER },
	{ VMM_GUEST_FILE_SET_REQ, FILE_MEMBER_PATH | FILE_MEMBER_CHMOD | FILE_MEMBER_OWNER |
				      FILE_MEMBER_MTIME | FILE_MEMBER_USER },
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

/* What no link can say is refused here, as its error would seem to be the path's. */
static const char *
file_request_get_target(struct json_object *json, struct json_error *error)
{
	const char *target = json_need_string(json, "target", error);
	size_t len = target != NULL ? strlen(target) : 0;

	if (target != NULL && len == 0)
		json_fail(error, "member 'target': it is empty");
	else if (len >= PATH_MAX)
		json_fail(error, "member 'target': %zu bytes, the most is %d", len, PATH_MAX - 1);
	return target;
}

/* (uid_t)-1 stands for nobody, and would change nothing: chown(2). */
static void
file_request_get_owner(
    struct json_object *json, struct file_request *request, struct json_error *error)
{
	request->has_uid = json_has(json, "uid");
	request->uid = (uint32_t)json_get_u64(json, "uid", UINT32_MAX - 1, 0, error);
	request->has_gid = json_has(json, "gid");
	request->gid = (uint32_t)json_get_u64(json, "gid", UINT32_MAX - 1, 0, error);
}

static void
file_request_get_mtime(
    struct json_object *json, struct file_request *request, struct json_error *error)
{
	request->has_mtime = json_has(json, "mtime_secs");
	request->mtime_secs = json_get_i64(json, "mtime_secs", 0, error);
	request->mtime_nanos =
	    (uint32_t)json_get_u64(json, "mtime_nanos", FILE_REQUEST_NANOS_MAX, 0, error);
	if (!request->has_mtime && json_has(json, "mtime_nanos"))
		json_fail(error, "member 'mtime_secs' is missing");
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
	if (members & FILE_MEMBER_TARGET)
		request.target = file_request_get_target(json, error);
	if (members & (FILE_MEMBER_MODE | FILE_MEMBER_CHMOD)) {
		request.has_mode = json_has(json, "mode");
		request.mode = (uint32_t)json_get_u64(json, "mode", UINT32_MAX, 0, error);
	}
	if (members & FILE_MEMBER_OWNER)
		file_request_get_owner(json, &request, error);
	if (members & FILE_MEMBER_MTIME)
		file_request_get_mtime(json, &request, error);
	if (members & FILE_MEMBER_FSYNC)
		request.fsync = json_get_bool(json, "fsync", false, error);
	if (members & FILE_MEMBER_RECURSIVE)
		request.recursive = json_get_bool(json, "recursive", false, error);
	if (members & FILE_MEMBER_GAPS)
		request.gaps = json_get_bool(json, "gaps", false, error);
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
	if (members & FILE_MEMBER_TARGET)
		json_add(json, "target", json_object_new_string(request->target));
	if ((members & FILE_MEMBER_MODE) || ((members & FILE_MEMBER_CHMOD) && request->has_mode))
		json_add(json, "mode", json_object_new_uint64(request->mode));
	if ((members & FILE_MEMBER_OWNER) && request->has_uid)
		json_add(json, "uid", json_object_new_uint64(request->uid));
	if ((members & FILE_MEMBER_OWNER) && request->has_gid)
		json_add(json, "gid", json_object_new_uint64(request->gid));
	if ((members & FILE_MEMBER_MTIME) && request->has_mtime) {
		json_add(json, "mtime_secs", json_object_new_int64(request->mtime_secs));
		json_add(json, "mtime_nanos", json_object_new_uint64(request->mtime_nanos));
	}
	if ((members & FILE_MEMBER_FSYNC) && request->fsync)
		json_add(json, "fsync", json_object_new_boolean(true));
	if (members & FILE_MEMBER_RECURSIVE)
		json_add(json, "recursive", json_object_new_boolean(request->recursive));
	if ((members & FILE_MEMBER_GAPS) && request->gaps)
		json_add(json, "gaps", json_object_new_boolean(true));
	if ((members & FILE_MEMBER_RANGE) && request->offset > 0)
		json_add(json, "offset", json_object_new_uint64(request->offset));
	if ((members & FILE_MEMBER_RANGE) && request->length != UINT64_MAX)
		json_add(json, "length", json_object_new_uint64(request->length));
	if ((members & FILE_MEMBER_USER) && request->user != NULL && request->user[0] != '\0')
		json_add(json, "user", json_object_new_string(request->user));
	return json_to_text(json, ret_len);
}
