/*
 * file_keep: the extended attributes that a file keeps which is replaced.
 *
 * SPDX-License-Identifier: MIT
 */
#include "session/file/keep.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "platform/proc.h"
#include "session/conn.h"

#define FILE_KEEP_ACL "system.posix_acl_access"

/* The most that the kernel has of each: xattr(7). Both fit into conn_tx_buffer(). */
#define FILE_KEEP_LIST_MAX 65536
#define FILE_KEEP_VALUE_MAX 65536

struct file_keep {
	char link[PROC_FD_LINK_MAX]; /* to the file that has them */
	int fd;			     /* of the one that gets them */
	bool may_lose;
	bool has_acl;
};

static bool
file_keep_is_user(const char *name)
{
	return strncmp(name, "user.", 5) == 0;
}

static bool
file_keep_is_wanted(const char *name)
{
	return file_keep_is_user(name) || strncmp(name, "system.", 7) == 0;
}

static int
file_keep_one(struct file_keep *keep, const char *name)
{
	uint8_t *value = conn_tx_buffer() + FILE_KEEP_LIST_MAX;
	ssize_t len = getxattr(keep->link, name, value, FILE_KEEP_VALUE_MAX);

	if (len < 0)
		return errno == ENODATA ? 0 : -errno; /* it has gone meanwhile */
	if (fsetxattr(keep->fd, name, value, (size_t)len, 0) < 0)
		return keep->may_lose && file_keep_is_user(name) ? 0 : -errno;
	if (strcmp(name, FILE_KEEP_ACL) == 0)
		keep->has_acl = true;
	return 0;
}

/* Drops the ACL that a new file has from its directory: who it lets in was shut out
 * of the old one. */
static int
file_keep_drop_acl(int fd)
{
	/* Most have no attribute at all, which is sooner seen than removed. */
	if (flistxattr(fd, NULL, 0) == 0 || fremovexattr(fd, FILE_KEEP_ACL) == 0 ||
	    errno == ENODATA || errno == EOPNOTSUPP)
		return 0;
	return -errno;
}

static int
file_keep_all(struct file_keep *keep)
{
	char *names = (char *)conn_tx_buffer();
	ssize_t len = listxattr(keep->link, names, FILE_KEEP_LIST_MAX);

	if (len < 0 && errno != EOPNOTSUPP)
		return -errno;
	for (const char *name = names; name < names + len; name += strlen(name) + 1) {
		int r = file_keep_is_wanted(name) ? file_keep_one(keep, name) : 0;

		if (r < 0)
			return r;
	}
	return keep->has_acl ? 0 : file_keep_drop_acl(keep->fd);
}

/* What a file has is read by its link in /proc, as no call takes an O_PATH descriptor
 * before Linux 6.13; and none takes a directory's, so that one is gone to. */
int
file_keep(const struct file_place *from, int fd, bool may_lose)
{
	struct file_keep keep = { .fd = fd, .may_lose = may_lose };
	int CLEANUP_FD back = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	int r;

	if (back < 0 || fchdir(proc_dir_fd()) < 0)
		return -errno;
	proc_fd_link(from->fd, keep.link);
	r = file_keep_all(&keep);
	/* Where a user may not go back, no more is lost: all our paths are absolute. */
	(void)!fchdir(back);
	return r;
}
