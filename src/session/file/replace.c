/*
 * SPDX-License-Identifier: MIT
 */
#include "session/file/replace.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include "platform/proc.h"

/* A guest may put files where our temporary names would go, but not for ever. */
#define FILE_REPLACE_TRIES 16

#define FILE_REPLACE_MODE 0600

/* How kernels and file systems say that they have no unnamed files: open(2). The last two
 * are those of FUSE and 9p. */
static bool
file_replace_is_unsupported(int error)
{
	return error == EOPNOTSUPP || error == EISDIR || error == EINVAL || error == ENOSYS;
}

static int
file_replace_begin_named(struct file_replace *replace)
{
	struct stat status;
	int fd = -1;

	for (int tries = 0; fd < 0 && tries < FILE_REPLACE_TRIES; tries++) {
		file_temporary_announce(replace->session, replace->dir_fd, NULL, replace->temp);
		fd = openat(replace->dir_fd, replace->temp,
		    O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, FILE_REPLACE_MODE);
		if (fd < 0 && errno != EEXIST)
			break;
	}
	if (fd < 0) {
		int error = errno;

		replace->temp[0] = '\0';
		file_temporary_forget(replace->session);
		return -error;
	}
	if (fstat(fd, &status) == 0)
		file_temporary_identify(replace->session, &status);
	replace->fd = fd;
	return 0;
}

int
file_replace_begin(
    struct session *session, const struct file_place *place, struct file_replace *ret)
{
	struct file_replace replace = { .session = session, .dir_fd = place->dir_fd };
	int r = 0;

	replace.fd = openat(place->dir_fd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, FILE_REPLACE_MODE);
	if (replace.fd < 0 && !file_replace_is_unsupported(errno))
		return -errno;
	if (replace.fd < 0)
		r = file_replace_begin_named(&replace);
	if (r == 0)
		*ret = replace;
	return r;
}

/* Gives the unnamed file a temporary name, for rename(2) to take it from. */
static int
file_replace_name(struct file_replace *replace)
{
	struct stat status;
	int r = -EEXIST;

	if (fstat(replace->fd, &status) < 0)
		return -errno;
	for (int tries = 0; r == -EEXIST && tries < FILE_REPLACE_TRIES; tries++) {
		file_temporary_announce(replace->session, replace->dir_fd, &status, replace->temp);
		r = proc_fd_linkat(replace->fd, replace->dir_fd, replace->temp);
	}
	if (r < 0) {
		replace->temp[0] = '\0';
		file_temporary_forget(replace->session);
	}
	return r;
}

int
file_replace_commit(struct file_replace *replace, const char *name)
{
	/* What close(2) would say must be known while the old file stands. */
	int r = fd_flush(replace->fd);

	if (r < 0)
		return r;
	if (replace->temp[0] == '\0') {
		r = proc_fd_linkat(replace->fd, replace->dir_fd, name);
		if (r != -EEXIST || replace->is_new)
			return r;
		r = file_replace_name(replace);
		if (r < 0)
			return r;
	}
	if (renameat(replace->dir_fd, replace->temp, replace->dir_fd, name) < 0)
		return -errno;
	/* Of two names of one file rename(2) leaves both. */
	if (replace->is_link)
		(void)unlinkat(replace->dir_fd, replace->temp, 0);
	replace->temp[0] = '\0';
	file_temporary_forget(replace->session);
	return 0;
}

void
file_replace_abort(struct file_replace *replace)
{
	if (replace->temp[0] != '\0') {
		(void)unlinkat(replace->dir_fd, replace->temp, 0);
		replace->temp[0] = '\0';
		file_temporary_forget(replace->session);
	}
	fd_close(&replace->fd);
}
