/*
 * SPDX-License-Identifier: MIT
 */
#include "session/file/read.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <sys/stat.h>

#include "session/file/content.h"
#include "session/file/place.h"
#include "session/file/reply.h"
#include "session/file/user.h"

/* Opens the file of PATH for reading: looked at first, so that no device is ever opened
 * (some act on it) and no FIFO waited for. Returns a descriptor or -errno: -EISDIR, -EINVAL
 * for anything else that is not a file. */
static int
file_read_open(const char *path)
{
	struct file_place FILE_PLACE_SCOPE place = FILE_PLACE_NONE;
	mode_t mode;

	place.fd = open(path, O_PATH | O_CLOEXEC);
	if (place.fd < 0 || fstat(place.fd, &place.status) < 0)
		return -errno;
	mode = place.status.st_mode;
	if (S_ISDIR(mode))
		return -EISDIR;
	if (!S_ISREG(mode) && !S_ISBLK(mode))
		return -EINVAL;
	return file_place_reopen(&place, O_RDONLY);
}

static int
file_read_request(struct session *session, const struct file_request *request, const char *path)
{
	int CLEANUP_FD fd = file_read_open(path);
	uint64_t sent;

	return fd < 0 ? fd
		      : file_content_send(session, fd, request->offset, request->length, &sent);
}

/* Returns 0 with the outcome in *RET; else FILE_ERR has been sent. */
static int
file_read_as_user(
    struct session *session, const struct file_request *request, const char *path, int *ret)
{
	struct file_user FILE_USER_SCOPE user = { .entered = false };
	int r = file_user_enter(&user, session, request->user);

	if (r < 0)
		return r;
	session_describe(session, request->user, path);
	*ret = file_read_request(session, request, path);
	return 0;
}

void
file_read_serve(struct session *session, uint8_t type, const uint8_t *payload, size_t len)
{
	struct file_request request = { 0 };
	char path[PATH_MAX];
	int r = file_reply_parse(session, type, payload, len, &request);

	if (r < 0)
		return;
	if (file_reply_path(session, request.path, path) == 0 &&
	    file_read_as_user(session, &request, path, &r) == 0) {
		if (r == 0)
			(void)session_send_last(session, VMM_GUEST_FILE_DONE, NULL, 0);
		else if (r == -EFBIG)
			file_reply_text(session, r, "%s: it does not end within %" PRIu64 " bytes",
			    path, session->settings->max_file_bytes);
		else
			file_reply_error(session, r, path);
	}
	file_request_done(&request);
}
