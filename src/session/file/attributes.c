/*
 * SPDX-License-Identifier: MIT
 */
#include "session/file/attributes.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "platform/io_result.h"
#include "platform/proc.h"

static int
file_attributes_chmod(int fd, mode_t mode)
{
	char link[PROC_FD_LINK_MAX];

	if (fchmod(fd, mode) == 0)
		return 0;
	if (errno != EBADF)
		return -errno;
	/* FD is O_PATH, and fchmodat2(2) came with Linux 6.6. */
	proc_fd_link(fd, link);
	return io_result(fchmodat(proc_dir_fd(), link, mode, 0));
}

int
file_attributes_set(int fd, const struct file_request *request)
{
	const struct timespec times[] = {
		{ .tv_nsec = UTIME_OMIT },
		{ .tv_sec = request->mtime_secs, .tv_nsec = (long)request->mtime_nanos },
	};
	int r = 0;

	if ((request->has_uid || request->has_gid) &&
	    fchownat(fd, "", request->has_uid ? request->uid : (uid_t)-1,
		request->has_gid ? request->gid : (gid_t)-1, AT_EMPTY_PATH) < 0)
		return -errno;
	if (request->has_mode)
		r = file_attributes_chmod(fd, request->mode & FILE_MODE_BITS);
	if (r == 0 && request->has_mtime && utimensat(fd, "", times, AT_EMPTY_PATH) < 0)
		r = -errno;
	return r;
}
