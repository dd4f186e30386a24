/*
 * Whoever owns a directory on the way may swap what we have just made for something else.
 * So the path is walked once; what is made is opened below the descriptor that the walk
 * ended at, and given a mode, an owner or a time only if it is ours.
 *
 * SPDX-License-Identifier: MIT
 */
#include "session/file/mkdir.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "platform/fd.h"
#include "platform/io_result.h"
#include "session/file/attributes.h"
#include "session/file/place.h"
#include "session/file/serve.h"

#define FILE_MKDIR_MODE 0755

/* What mkdir(2) does not set. */
#define FILE_MKDIR_SPECIAL_BITS (S_ISUID | S_ISGID)

/* A directory that is still to get its owner or special bits is made shut. Nobody gets in
 * before, and another of the agent's own can't be passed off for it: nobody else makes one
 * like it. */
#define FILE_MKDIR_SHUT 0

/* Gives the directory NAME, made with the mode MADE, what else WANT has. */
static int
file_mkdir_finish(int dir_fd, const char *name, mode_t made, struct file_request want)
{
	int CLEANUP_FD fd = -1;
	struct stat status;

	fd = openat(dir_fd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &status) < 0)
		return -errno;
	if (status.st_uid != geteuid())
		return -EPERM;
	want.has_mode = made == FILE_MKDIR_SHUT;
	if (want.has_mode && (status.st_mode & FILE_MODE_BITS & ~(mode_t)S_ISGID) != made)
		return -EPERM;
	/* As mkdir(2) has it: inherited from the directory above. */
	want.mode |= status.st_mode & S_ISGID;
	return file_attributes_set(fd, &want);
}

static int
file_mkdir_make(const struct file_place *place, const struct file_request *request)
{
	struct file_request want = *request;
	mode_t umask_before;
	mode_t made;
	int r;

	want.mode = request->mode == 0 ? FILE_MKDIR_MODE : request->mode & FILE_MODE_BITS;
	made = want.mode;
	if ((made & FILE_MKDIR_SPECIAL_BITS) != 0 || want.has_uid || want.has_gid)
		made = FILE_MKDIR_SHUT;
	umask_before = umask(0);
	r = io_result(mkdirat(place->dir_fd, place->name, made));
	(void)umask(umask_before);
	if (r == 0 && (made == FILE_MKDIR_SHUT || want.has_mtime))
		r = file_mkdir_finish(place->dir_fd, place->name, made, want);
	return r;
}

static bool
file_mkdir_is_there(const struct file_place *place)
{
	struct stat status;

	return fstatat(place->dir_fd, place->name, &status, 0) == 0 && S_ISDIR(status.st_mode);
}

static int
file_mkdir(struct file_work *work)
{
	struct file_place FILE_PLACE_SCOPE place = FILE_PLACE_NONE;
	int r = file_place_open(work->path, FILE_PLACE_MAKE_DIRS | FILE_PLACE_ANY_SLASH, &place);

	if (r == 0)
		r = file_mkdir_make(&place, work->request);
	return r == -EEXIST && file_mkdir_is_there(&place) ? 0 : r;
}

void
file_mkdir_serve(struct session *session, uint8_t type, const uint8_t *payload, size_t len)
{
	file_serve(session, type, payload, len, file_mkdir);
}
