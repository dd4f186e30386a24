/*
 * SPDX-License-Identifier: MIT
 */
#include "session/file/move.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "platform/compat.h"
#include "platform/io_result.h"
#include "session/file/attributes.h"
#include "session/file/copy.h"
#include "session/file/keep.h"
#include "session/file/replace.h"
#include "session/file/serve.h"

/* Gives FD the attributes of FROM, in the order in which none undoes another. */
static int
file_move_take_over(int fd, const struct file_place *from)
{
	const struct stat *status = &from->status;
	const struct timespec times[] = { status->st_atim, status->st_mtim };
	int r;

	if (fchown(fd, status->st_uid, status->st_gid) < 0)
		return -errno;
	r = file_keep(from, fd, true);
	if (r < 0)
		return r;
	if (fchmod(fd, status->st_mode & FILE_MODE_BITS) < 0 ||
	    utimensat(fd, "", times, AT_EMPTY_PATH) < 0)
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
	return io_result(unlinkat(from->dir_fd, from->name, 0));
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
		r = file_move_take_over(copy.fd, from);
	file_reply_begin_flush(session);
	return r < 0 ? r : file_replace_commit(&copy, to->name);
}

/* To another file system. */
static int
file_move_across(
    struct session *session, const struct file_place *from, const struct file_place *to)
{
	int r;

	if (!S_ISREG(from->status.st_mode))
		return -EXDEV;
	/* Looked at before the copy is made: what can't be unlinked can't be moved. */
	if (faccessat(from->dir_fd, ".", W_OK, AT_EACCESS) < 0)
		return -errno;
	if (to->fd >= 0 && S_ISDIR(to->status.st_mode))
		return -EISDIR;
	r = file_move_copy(session, from, to);
	return r < 0 ? r : file_move_unlink(from);
}

/* Both places are found once, so that the copy has the very source and target of the rename
 * that failed. */
static int
file_move(struct file_work *work)
{
	struct file_place FILE_PLACE_SCOPE from = FILE_PLACE_NONE;
	struct file_place FILE_PLACE_SCOPE to = FILE_PLACE_NONE;
	int r = file_serve_open_both(work, 0, &from, &to);

	if (r < 0)
		return r;
	if (to.slash && !S_ISDIR(from.status.st_mode))
		return -ENOTDIR;
	if (renameat(from.dir_fd, from.name, to.dir_fd, to.name) == 0)
		return 0;
	r = -errno;
	if (r == -EXDEV)
		return file_move_across(work->session, &from, &to);
	/* rename(2) does not tell which of the two it means. */
	if (faccessat(from.dir_fd, ".", W_OK, AT_EACCESS) < 0)
		work->of = work->path;
	return r;
}

void
file_move_serve(struct session *session, uint8_t type, const uint8_t *payload, size_t len)
{
	file_serve(session, type, payload, len, file_move);
}
