/*
 * file_mkdir: MKDIR of port 53.
 */
#include "session/file_mkdir.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "platform/fd.h"
#include "session/file_path.h"
#include "session/file_place.h"
#include "session/file_reply.h"

#define FILE_MKDIR_MODE 0755
#define FILE_MKDIR_MODE_BITS 07777

/* What mkdir(2) does not set. */
#define FILE_MKDIR_SPECIAL_BITS (S_ISUID | S_ISGID)

static int
file_mkdir_call(const char *path, mode_t mode)
{
	mode_t umask_before = umask(0);
	int r = mkdir(path, mode) < 0 ? -errno : 0;

	(void)umask(umask_before);
	return r;
}

static int
file_mkdir_set_mode(const char *path, mode_t mode)
{
	int CLEANUP_FD fd = -1;

	if ((mode & FILE_MKDIR_SPECIAL_BITS) == 0)
		return 0;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 || fchmod(fd, mode) < 0 ? -errno : 0;
}

static int
file_mkdir(const char *path, mode_t mode)
{
	struct file_parts parts;
	struct stat status;
	int r = file_path_split(path, &parts);

	if (r < 0)
		return r;
	r = file_mkdir_call(path, mode);
	if (r == -ENOENT) {
		r = file_place_make_dirs(AT_FDCWD, parts.dir);
		if (r == 0)
			r = file_mkdir_call(path, mode);
	}
	if (r == 0)
		return file_mkdir_set_mode(path, mode);
	if (r == -EEXIST && stat(path, &status) == 0 && S_ISDIR(status.st_mode))
		return 0;
	return r;
}

void
file_mkdir_serve(struct session *session, uint8_t type, const uint8_t *payload, size_t len)
{
	struct file_request request = { 0 };
	char path[PATH_MAX];

	if (file_reply_parse(session, type, payload, len, &request) < 0)
		return;
	if (file_reply_path(session, request.path, path) == 0) {
		mode_t mode =
		    request.mode == 0 ? FILE_MKDIR_MODE : request.mode & FILE_MKDIR_MODE_BITS;
		int r = file_mkdir(path, mode);

		if (r == 0)
			file_reply_ack(session);
		else
			file_reply_error(session, r, path);
	}
	file_request_done(&request);
}
