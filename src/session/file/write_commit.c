/*
 * file_write_commit: what a WRITE does when DONE has come.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "platform/io_result.h"
#include "session/file/attributes.h"
#include "session/file/write_state.h"

#define FILE_WRITE_NEW_MODE 0644

/* Some files have no modes of their own or nothing to flush, such as those of
 * /proc; what was written into them has not failed for that. */
static int
file_write_settle_in_place(struct file_write *write)
{
	struct file_request want = *write->request;
	int fd = write->in_place.fd;
	int r = 0;

	file_reply_begin_flush(write->session);
	want.has_mode = want.mode != 0;
	if (!want.has_mode && file_write_has_owner(write)) {
		/* chown(2) may take bits of the mode that is to be kept. */
		want.has_mode = true;
		want.mode = write->place.status.st_mode;
	}
	if (write->in_place.regular)
		r = file_attributes_set(fd, &want);
	if (r < 0 &&
	    (file_write_has_owner(write) || geteuid() != 0 || (r != -EPERM && r != -EOPNOTSUPP)))
		return r;
	if (write->request->fsync && fsync(fd) < 0 && errno != EINVAL)
		return -errno;
	return 0;
}

static int
file_write_commit_in_place(struct file_write *write)
{
	int r = write->spool.fd >= 0 ? file_in_place_copy(&write->in_place, write->spool.fd)
				     : file_in_place_finish(&write->in_place);

	return r < 0 ? r : file_write_settle_in_place(write);
}

/* Flushes the directory, so that the name is there after a power cut. A directory
 * that may not be read, or has only just been made, goes with its file system. */
static int
file_write_flush_dir(const struct file_write *write)
{
	int CLEANUP_FD fd = -1;

	if (!write->place.made_dirs)
		fd = openat(write->place.dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0)
		return io_result(fsync(fd));
	return io_result(syncfs(write->spool.fd));
}

static int
file_write_commit_replacing(struct file_write *write)
{
	struct file_request want = *write->request;
	int r;

	file_reply_begin_flush(write->session);
	if (want.mode == 0)
		want.mode =
		    file_write_is_there(write) ? write->place.status.st_mode : FILE_WRITE_NEW_MODE;
	want.has_mode = true;
	want.has_uid = want.has_gid = false;
	r = file_attributes_set(write->spool.fd, &want);
	if (r < 0)
		return r;
	if (write->request->fsync && fsync(write->spool.fd) < 0)
		return -errno;
	r = file_replace_commit(&write->spool, write->place.name);
	if (r == -EBUSY && file_write_is_there(write)) {
		/* Something was mounted on it since we looked. */
		r = file_write_open_in_place(write);
		return r < 0 ? r : file_write_commit_in_place(write);
	}
	return r == 0 && write->request->fsync ? file_write_flush_dir(write) : r;
}

int
file_write_commit(struct file_write *write)
{
	return write->in_place.fd >= 0 ? file_write_commit_in_place(write)
				       : file_write_commit_replacing(write);
}
