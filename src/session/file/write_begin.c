/*
 * file_write_begin: where the bytes of a WRITE go.
 *
 *   nothing there, or a plain file        an unnamed file takes its name
 *   a file that can't be replaced, in a   an unnamed file next to it takes the
 *   directory where one can be made       bytes, and is copied into it on DONE
 *   anything else that can be written     written over as the bytes come
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "platform/compat.h"
#include "platform/io_result.h"
#include "platform/proc.h"
#include "session/file/keep.h"
#include "session/file/write_state.h"

/* Whether no rename may take its place: it has several names, or something is mounted on
 * it. */
static bool
file_write_is_pinned(const struct file_place *place)
{
	struct statx found;

	if (place->magic || place->status.st_nlink > 1)
		return true;
	if (statx(place->fd, "", AT_EMPTY_PATH, 0, &found) < 0)
		return false;
	return (found.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0;
}

/* What there is must be a file or a device, and a user must be allowed to write
 * it even where a right to the directory would do to replace it. */
static int
file_write_check(const struct file_write *write)
{
	mode_t mode = write->place.status.st_mode;
	char link[PROC_FD_LINK_MAX];

	if (!file_write_is_there(write))
		return write->place.slash ? -EISDIR : 0;
	if (S_ISDIR(mode))
		return -EISDIR;
	if (S_ISFIFO(mode) || S_ISSOCK(mode))
		return -EINVAL;
	if (write->request->user[0] == '\0')
		return 0;
	proc_fd_link(write->place.fd, link);
	return io_result(faccessat(proc_dir_fd(), link, W_OK, AT_EACCESS));
}

/* Whether ERROR of making a file says that none can be made in that directory, as
 * in those of /proc, and not that this is a bad moment for it. */
static bool
file_write_is_no_place(int error)
{
	return error == -EACCES || error == -EPERM || error == -EROFS || error == -ENOENT ||
	       error == -EOPNOTSUPP || error == -EINVAL;
}

int
file_write_open_in_place(struct file_write *write)
{
	return file_in_place_open(write->session, &write->place, &write->in_place);
}

/* Gives the spool the owner asked for, else the old one. Where the old owner can't be
 * given, the old file must stay, and is written over. */
static int
file_write_set_owner(struct file_write *write)
{
	const struct file_request *request = write->request;
	bool there = file_write_is_there(write);
	uid_t uid = there ? write->place.status.st_uid : (uid_t)-1;
	gid_t gid = there ? write->place.status.st_gid : (gid_t)-1;

	if (!there && !file_write_has_owner(write))
		return 0;
	if (fchown(write->spool.fd, request->has_uid ? request->uid : uid,
		request->has_gid ? request->gid : gid) == 0)
		return 0;
	return file_write_has_owner(write) ? -errno : file_write_open_in_place(write);
}

int
file_write_begin(struct file_write *write)
{
	const struct stat *old = &write->place.status;
	bool there = file_write_is_there(write);
	int r = file_write_check(write);

	if (r < 0)
		return r;
	if (there && !S_ISREG(old->st_mode))
		return file_write_open_in_place(write);
	if (there && file_write_is_pinned(&write->place)) {
		r = file_write_open_in_place(write);
		if (r < 0)
			return r;
	}
	r = file_replace_begin(write->session, &write->place, &write->spool);
	if (r < 0 && there && file_write_is_no_place(r))
		return write->in_place.fd >= 0 ? 0 : file_write_open_in_place(write);
	if (r < 0 || write->in_place.fd >= 0)
		return r;
	r = file_write_set_owner(write);
	if (r < 0 || !there || write->in_place.fd >= 0)
		return r;
	/* So too where its ACL can't be kept, which would let others in. */
	return file_keep(&write->place, write->spool.fd, false) < 0
		   ? file_write_open_in_place(write)
		   : 0;
}
