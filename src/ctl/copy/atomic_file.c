/*
 * atomic_file: a file without a name, which is linked to its target's, or takes it by a temporary
 * name and rename(2); and the ways where that will not do.
 *
 * SPDX-License-Identifier: MIT
 */
#include "ctl/copy/atomic_file.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/xattr.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "ctl/copy/atomic_file_like.h"
#include "ctl/signals.h"
#include "platform/fd.h"
#include "platform/io_result.h"
#include "platform/proc.h"

#define ATOMIC_FILE_TRIES 16
#define ATOMIC_FILE_COPY_LEN (64 * 1024)

/* This much of the target's name is in the temporary's, which is ".NAME.12345678". */
#define ATOMIC_FILE_NAME_MAX (NAME_MAX - 10)

static int
atomic_file_open_special(struct atomic_file *file)
{
	file->is_special = true;
	/* A pipe may never be taken from, and nothing written to it can be taken back: a
	 * signal is to end us as it would cp(1). */
	signals_release();
	file->fd = openat(file->dir_fd, file->name, O_WRONLY | O_CLOEXEC | O_NOCTTY);
	return file->fd < 0 ? -errno : 0;
}

/* A name beside NAME that nothing is likely to have. */
static int
atomic_file_name_temporary(const char *name, char temporary[NAME_MAX + 1])
{
	uint32_t number;

	if (getrandom(&number, sizeof(number), 0) != sizeof(number))
		return -errno;
	(void)snprintf(temporary, NAME_MAX + 1, ".%.*s.%08x", ATOMIC_FILE_NAME_MAX, name, number);
	return 0;
}

/* The file with a name beside the target, where the file system has no files without. */
static int
atomic_file_open_temporary(struct atomic_file *file)
{
	int r = -EEXIST;

	for (int i = 0; i < ATOMIC_FILE_TRIES && r == -EEXIST; i++) {
		r = atomic_file_name_temporary(file->name, file->temporary);
		if (r < 0)
			break;
		file->fd = openat(file->dir_fd, file->temporary,
		    O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, S_IRUSR | S_IWUSR);
		r = file->fd < 0 ? -errno : 0;
	}
	if (r < 0)
		file->temporary[0] = '\0';
	return r;
}

/* Whether it could be named in the end also by a process without privileges. */
static bool
atomic_file_can_be_named(int fd)
{
	static atomic_bool is_known;
	char path[PROC_FD_PATH_MAX];

	if (!is_known) {
		proc_fd_path(fd, path);
		is_known = access(path, F_OK) == 0;
	}
	return is_known;
}

/* The file that is received into. Nobody can open one that has no name: it may have its mode
 * from the start. */
static int
atomic_file_open_new(struct atomic_file *file)
{
	mode_t mode = file->is_new ? file->mode : S_IRUSR | S_IWUSR;

	file->fd = openat(file->dir_fd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, mode);
	if (file->fd >= 0 && atomic_file_can_be_named(file->fd)) {
		file->has_mode = file->is_new;
		return 0;
	}
	if (file->fd < 0 && errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL)
		return -errno;
	fd_close(&file->fd);
	return atomic_file_open_temporary(file);
}

int
atomic_file_link(int dir_fd, const char *name, const char *target)
{
	char temporary[NAME_MAX + 1];
	int r = symlinkat(target, dir_fd, name) < 0 ? -errno : 0;

	if (r != -EEXIST)
		return r;
	for (int i = 0; i < ATOMIC_FILE_TRIES && r == -EEXIST; i++) {
		r = atomic_file_name_temporary(name, temporary);
		if (r == 0 && symlinkat(target, dir_fd, temporary) < 0)
			r = -errno;
	}
	if (r == 0 && renameat(dir_fd, temporary, dir_fd, name) < 0) {
		r = -errno;
		(void)unlinkat(dir_fd, temporary, 0);
	}
	return r;
}

int
atomic_file_hard_link(int from_fd, const char *from, int dir_fd, const char *name)
{
	char temporary[NAME_MAX + 1];
	int r = io_result(linkat(from_fd, from, dir_fd, name, 0));

	if (r != -EEXIST)
		return r;
	for (int i = 0; i < ATOMIC_FILE_TRIES && r == -EEXIST; i++) {
		r = atomic_file_name_temporary(name, temporary);
		if (r == 0)
			r = io_result(linkat(from_fd, from, dir_fd, temporary, 0));
	}
	if (r < 0)
		return r;
	r = io_result(renameat(dir_fd, temporary, dir_fd, name));
	/* rename(2): where both are the same file, it does nothing. */
	(void)unlinkat(dir_fd, temporary, 0);
	return r;
}

/* Opens what is there to be written into. */
static int
atomic_file_open_there(struct atomic_file *file)
{
	struct stat st;

	file->there_fd = openat(
	    file->dir_fd, file->name, O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (file->there_fd < 0 || fstat(file->there_fd, &st) < 0)
		return -errno;
	return S_ISREG(st.st_mode) ? 0 : -EEXIST;
}

bool
atomic_file_is_local(int dir_fd)
{
	static const long magics[] = { TMPFS_MAGIC, EXT4_SUPER_MAGIC, XFS_SUPER_MAGIC,
		BTRFS_SUPER_MAGIC };
	struct statfs fs;
	size_t i = 0;

	if (fstatfs(dir_fd, &fs) < 0)
		return false;
	while (i < sizeof(magics) / sizeof(magics[0]) && fs.f_type != magics[i])
		i++;
	return i < sizeof(magics) / sizeof(magics[0]);
}

bool
atomic_file_keeps_modes(int dir_fd)
{
	return atomic_file_is_local(dir_fd) &&
	       fgetxattr(dir_fd, XATTR_NAME_POSIX_ACL_DEFAULT, NULL, 0) < 0 &&
	       (errno == ENODATA || errno == EOPNOTSUPP);
}

int
atomic_file_open(struct atomic_file *ret, int dir_fd, const char *name, mode_t mode,
    enum atomic_file_there there)
{
	struct stat st;
	int r;

	*ret = (struct atomic_file){ .dir_fd = dir_fd,
		.fd = -1,
		.there_fd = -1,
		.name = name,
		.mode = mode,
		.is_new = true,
		.is_only = there == ATOMIC_FILE_NONE };
	if (ret->is_only)
		return atomic_file_open_new(ret);
	if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? atomic_file_open_new(ret) : -errno;
	ret->is_new = false;
	if (S_ISDIR(st.st_mode))
		return -EISDIR;
	if (!S_ISREG(st.st_mode))
		return there == ATOMIC_FILE_SPECIAL_TOO ? atomic_file_open_special(ret) : -EEXIST;
	ret->mode = st.st_mode & (S_IRWXU | S_IRWXG | S_IRWXO);
	r = atomic_file_open_new(ret);
	if (r == 0 && (st.st_nlink > 1 || atomic_file_like(ret->fd, dir_fd, name, &st) < 0))
		r = atomic_file_open_there(ret);
	return r;
}

int
atomic_file_write(struct atomic_file *file, const uint8_t *data, size_t len)
{
	file->has_hole = false;
	return fd_write_full(file->fd, data, len);
}

int
atomic_file_skip(struct atomic_file *file, uint64_t len)
{
	if (len > INT64_MAX || lseek(file->fd, (off_t)len, SEEK_CUR) < 0)
		return len > INT64_MAX || errno == EOVERFLOW || errno == EINVAL ? -EFBIG : -errno;
	file->has_hole = true;
	return 0;
}

static int
atomic_file_set(int fd, const mode_t *mode, const struct timespec *mtime)
{
	struct timespec times[2] = { { .tv_nsec = UTIME_OMIT } };

	if (mode != NULL && fchmod(fd, *mode) < 0)
		return -errno;
	if (mtime == NULL)
		return 0;
	times[1] = *mtime;
	return futimens(fd, times) < 0 ? -errno : 0;
}

/* Takes the room first: on a full disk the old file is to stay whole. */
static int
atomic_file_reserve(int fd, off_t size)
{
	if (size == 0 || fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, size) == 0)
		return 0;
	return errno == ENOSPC || errno == EDQUOT || errno == EFBIG ? -errno : 0;
}

static int
atomic_file_copy(int from_fd, int to_fd, off_t size)
{
	uint8_t buffer[ATOMIC_FILE_COPY_LEN];
	off_t done = 0;

	while (done < size) {
		ssize_t n = pread(from_fd, buffer, sizeof(buffer), done);
		int r;

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		r = fd_write_full(to_fd, buffer, (size_t)n);
		if (r < 0)
			return r;
		done += n;
	}
	return ftruncate(to_fd, size) < 0 ? -errno : 0;
}

/* Set-id bits go before there is anything of a guest's in the file. */
static int
atomic_file_commit_into(struct atomic_file *file, const mode_t *mode, const struct timespec *mtime)
{
	off_t size = lseek(file->fd, 0, SEEK_END);
	struct stat st;
	int r;

	if (size < 0 || fstat(file->there_fd, &st) < 0)
		return -errno;
	if ((st.st_mode & (S_ISUID | S_ISGID)) != 0 && fchmod(file->there_fd, file->mode) < 0)
		return -errno;
	r = atomic_file_reserve(file->there_fd, size);
	if (r == 0)
		r = atomic_file_copy(file->fd, file->there_fd, size);
	if (r == 0 && (mode != NULL || mtime != NULL))
		r = atomic_file_set(file->there_fd, mode != NULL ? mode : &file->mode, mtime);
	return r < 0 ? r : fd_close_written(&file->there_fd);
}

/* Gives the unnamed file a name beside the target. */
static int
atomic_file_name_beside(struct atomic_file *file)
{
	int r = -EEXIST;

	for (int i = 0; i < ATOMIC_FILE_TRIES && r == -EEXIST; i++) {
		r = atomic_file_name_temporary(file->name, file->temporary);
		if (r == 0)
			r = proc_fd_linkat(file->fd, file->dir_fd, file->temporary);
	}
	if (r < 0)
		file->temporary[0] = '\0';
	return r;
}

/* Gives it the target's name, which is taken from the file that has it. */
static int
atomic_file_take_name(struct atomic_file *file)
{
	struct stat st;
	int r = 0;

	if (file->temporary[0] == '\0' && file->is_new) {
		r = proc_fd_linkat(file->fd, file->dir_fd, file->name);
		if (r != -EEXIST)
			return r;
	}
	if (file->is_only && fstatat(file->dir_fd, file->name, &st, AT_SYMLINK_NOFOLLOW) == 0)
		return -EEXIST;
	if (file->temporary[0] == '\0')
		r = atomic_file_name_beside(file);
	if (r < 0)
		return r;
	if (renameat(file->dir_fd, file->temporary, file->dir_fd, file->name) < 0)
		return -errno;
	file->temporary[0] = '\0';
	return 0;
}

static int
atomic_file_commit_replacing(
    struct atomic_file *file, const mode_t *mode, const struct timespec *mtime)
{
	int r;

	if (mode == NULL && !file->has_mode)
		mode = &file->mode;
	r = atomic_file_set(file->fd, mode, mtime);
	/* A file on another machine may say when it is closed that it could not be written. */
	if (r == 0 && !file->is_local)
		r = fd_flush(file->fd);
	if (r == 0)
		r = atomic_file_take_name(file);
	if (r != -EBUSY || file->is_new)
		return r;
	/* Something is mounted on it. */
	r = atomic_file_open_there(file);
	return r < 0 ? r : atomic_file_commit_into(file, mode, mtime);
}

/* A hole is only there if something stands behind it. */
static int
atomic_file_end(struct atomic_file *file)
{
	off_t size = file->has_hole ? lseek(file->fd, 0, SEEK_CUR) : 0;

	return size < 0 || (file->has_hole && ftruncate(file->fd, size) < 0) ? -errno : 0;
}

int
atomic_file_commit(struct atomic_file *file, const mode_t *mode, const struct timespec *mtime)
{
	int r;

	if (file->is_special)
		return fd_close_written(&file->fd);
	r = atomic_file_end(file);
	if (r < 0)
		return r;
	return file->there_fd >= 0 ? atomic_file_commit_into(file, mode, mtime)
				   : atomic_file_commit_replacing(file, mode, mtime);
}

void
atomic_file_done(struct atomic_file *file)
{
	if (file->temporary[0] != '\0')
		(void)unlinkat(file->dir_fd, file->temporary, 0);
	file->temporary[0] = '\0';
	fd_close(&file->fd);
	fd_close(&file->there_fd);
}
