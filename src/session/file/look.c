/*
 * SPDX-License-Identifier: MIT
 */
#include "session/file/look.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "platform/fd.h"

#define FILE_LOOK_MODE_BITS 07777

static enum file_entry_kind
file_look_kind(mode_t mode)
{
	if (S_ISREG(mode))
		return FILE_ENTRY_FILE;
	if (S_ISDIR(mode))
		return FILE_ENTRY_DIR;
	return S_ISLNK(mode) ? FILE_ENTRY_SYMLINK : FILE_ENTRY_OTHER;
}

static enum file_entry_type
file_look_type(mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFIFO:
		return FILE_ENTRY_FIFO;
	case S_IFSOCK:
		return FILE_ENTRY_SOCKET;
	case S_IFCHR:
		return FILE_ENTRY_CHAR;
	case S_IFBLK:
		return FILE_ENTRY_BLOCK;
	default:
		return FILE_ENTRY_NOT_TOLD;
	}
}

int
file_look_by_fd(int fd, char target[PATH_MAX], struct stat *ret)
{
	ssize_t len;

	if (fstat(fd, ret) < 0)
		return -errno;
	len = S_ISLNK(ret->st_mode) ? readlinkat(fd, "", target, PATH_MAX - 1) : 0;
	if (len < 0)
		return -errno;
	target[len] = '\0';
	return 0;
}

struct file_entry
file_look_entry(const struct stat *status, const char *target)
{
	return (struct file_entry){
		.kind = file_look_kind(status->st_mode),
		.type = file_look_type(status->st_mode),
		.size = S_ISREG(status->st_mode) ? (uint64_t)status->st_size : 0,
		.mode = status->st_mode & FILE_LOOK_MODE_BITS,
		.mtime_secs = status->st_mtim.tv_sec,
		.mtime_nanos = (uint32_t)status->st_mtim.tv_nsec,
		.uid = status->st_uid,
		.gid = status->st_gid,
		.symlink_target = target,
	};
}

/* Reads what a link says, and looks at it once more, by the same descriptor: another
 * may have its name by now. */
static int
file_look_at_link(int dir_fd, const char *path, char target[PATH_MAX], struct stat *ret)
{
	int CLEANUP_FD fd = openat(dir_fd, path, O_PATH | O_NOFOLLOW | O_CLOEXEC);

	return fd < 0 ? -errno : file_look_by_fd(fd, target, ret);
}

int
file_look(
    int dir_fd, const char *path, const char *name, char target[PATH_MAX], struct file_entry *ret)
{
	struct stat status;
	int r;

	if (fstatat(dir_fd, path, &status, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	target[0] = '\0';
	r = S_ISLNK(status.st_mode) ? file_look_at_link(dir_fd, path, target, &status) : 0;
	if (r < 0)
		return r;
	*ret = file_look_entry(&status, target);
	ret->name = name;
	return 0;
}
