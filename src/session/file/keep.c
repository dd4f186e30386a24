/*
 * file_keep: copying them, from an O_PATH descriptor.
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
		return errno == ENODATA ? 0 : -errno; /* removed meanwhile */
	if (fsetxattr(keep->fd, name, value, (size_t)len, 0) < 0)
		return keep->may_lose && file_keep_is_user(name) ? 0 : -errno;
	if (strcmp(name, FILE_KEEP_ACL) == 0)
		keep->has_acl = true;
	return 0;
}

/* Drops the ACL that a new file inherited from its directory: it may let in users whom the
 * old file shut out. */
static int
file_keep_drop_acl(int fd)
{
	/* Most files have no attribute at all, and to look is cheaper than to remove. */
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

/* A file's attributes are read by its link in /proc, as no call takes an O_PATH descriptor
 * before Linux 6.13. Nor does any take a path below a descriptor, so we go to /proc. */
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
	/* If the user may not go back, nothing is lost: all our paths are absolute. */
	(void)!fchdir(back);
	return r;
}
