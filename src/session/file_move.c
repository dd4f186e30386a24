/*
 * file_move: MOVE of port 53.
 */
#include "session/file_move.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "session/file_copy.h"
#include "session/file_place.h"
#include "session/file_replace.h"
#include "session/file_reply.h"

#define FILE_MOVE_MODE_BITS 07777

/* Gives FD what STATUS says, in the order in which one does not undo another. */
static int
file_move_take_over(int fd, const struct stat *status)
{
	const struct timespec times[] = { status->st_atim, status->st_mtim };

	if (fchown(fd, status->st_uid, status->st_gid) < 0 ||
	    fchmod(fd, status->st_mode & FILE_MOVE_MODE_BITS) < 0 || futimens(fd, times) < 0)
		return -errno;
	return 0;
}

/* Unlinks what was copied, and nothing that took its name since. */
static int
file_move_unlink(const struct file_place *from)
{
	struct stat now;

	if (fstatat(from->dir_fd, from->name, &now, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (now.st_dev != from->status.st_dev || now.st_ino != from->status.st_ino)
		return 0;
	return unlinkat(from->dir_fd, from->name, 0) < 0 ? -errno : 0;
}

static int
file_move_copy(struct session *session, const struct file_place *from, const struct file_place *to)
{
	struct file_replace FILE_REPLACE_SCOPE copy = FILE_REPLACE_NONE;
	int CLEANUP_FD fd = file_place_reopen(from, O_RDONLY);
	int r;

	if (fd < 0)
		return fd;
	r = file_replace_begin(session, to, &copy);
	if (r == 0)
		r = file_copy(session, fd, copy.fd);
	if (r == 0)
		r = file_move_take_over(copy.fd, &from->status);
	file_reply_begin_flush(session);
	return r < 0 ? r : file_replace_commit(&copy, to->name);
}

static int
file_move_across(struct session *session, const char *from_path, const char *to_path)
{
	struct file_place FILE_PLACE_SCOPE from = FILE_PLACE_NONE;
	struct file_place FILE_PLACE_SCOPE to = FILE_PLACE_NONE;
	int r = file_place_open(from_path, 0, &from);

	if (r < 0)
		return r;
	if (from.fd < 0)
		return -ENOENT;
	if (!S_ISREG(from.status.st_mode))
		return -EXDEV;
	/* Known before the work is done: what can't be unlinked can't be moved. */
	if (faccessat(from.dir_fd, ".", W_OK, AT_EACCESS) < 0)
		return -errno;
	r = file_place_open(to_path, 0, &to);
	if (r < 0)
		return r;
	if (to.fd >= 0 ? S_ISDIR(to.status.st_mode) : to.slash)
		return -EISDIR;
	r = file_move_copy(session, &from, &to);
	return r < 0 ? r : file_move_unlink(&from);
}

static void
file_move_run(struct session *session, const char *from, const char *to)
{
	struct stat status;
	int r = rename(from, to) < 0 ? -errno : 0;

	if (r == -EXDEV)
		r = file_move_across(session, from, to);
	if (r == 0)
		file_reply_ack(session);
	else /* rename(2) does not tell which of the two it means */
		file_reply_error(session, r, lstat(from, &status) < 0 ? from : to);
}

void
file_move_serve(struct session *session, uint8_t type, const uint8_t *payload, size_t len)
{
	struct file_request request = { 0 };
	char from[PATH_MAX];
	char to[PATH_MAX];

	if (file_reply_parse(session, type, payload, len, &request) < 0)
		return;
	if (file_reply_path(session, request.path, from) == 0 &&
	    file_reply_path(session, request.to, to) == 0) {
		session_describe(session, "", from);
		file_move_run(session, from, to);
	}
	file_request_done(&request);
}
