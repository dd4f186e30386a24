/*
 * atomic_file_like: chown(2), and the extended attributes one by one.
 *
 * SPDX-License-Identifier: MIT
 */
#include "ctl/copy/atomic_file_like.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include <linux/limits.h>
#include <unistd.h>

#include "platform/proc.h"

#define ATOMIC_FILE_LIKE_ACL "system.posix_acl_access"

/* There is no fgetxattrat(2) before Linux 6.13. */
#define ATOMIC_FILE_LIKE_PATH_MAX (PROC_FD_PATH_MAX + sizeof("/") + NAME_MAX)

struct atomic_file_like_buffers {
	char names[XATTR_LIST_MAX];
	char value[XATTR_SIZE_MAX];
};

static int
atomic_file_like_owner(int fd, const struct stat *st)
{
	struct stat own;

	if (fstat(fd, &own) < 0)
		return -errno;
	if (own.st_uid == st->st_uid && own.st_gid == st->st_gid)
		return 0;
	return fchown(fd, st->st_uid, st->st_gid) < 0 ? -errno : 0;
}

static bool
atomic_file_like_vouches(const char *name)
{
	static const char *const names[] = { "security.capability", "security.ima",
		"security.evm" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(name, names[i]) == 0)
			return true;
	}
	return false;
}

static int
atomic_file_like_attributes(int fd, const char *path, struct atomic_file_like_buffers *buffers)
{
	ssize_t len = llistxattr(path, buffers->names, sizeof(buffers->names));
	bool has_acl = false;

	if (len < 0 && errno != ENOTSUP)
		return -errno;
	for (const char *name = buffers->names; len > 0 && name < buffers->names + len;
	     name += strlen(name) + 1) {
		ssize_t size;

		if (atomic_file_like_vouches(name))
			continue;
		has_acl = has_acl || strcmp(name, ATOMIC_FILE_LIKE_ACL) == 0;
		size = lgetxattr(path, name, buffers->value, sizeof(buffers->value));
		if (size < 0 || fsetxattr(fd, name, buffers->value, (size_t)size, 0) < 0)
			return -errno;
	}
	/* One that the new file has got from its directory. */
	if (!has_acl && fremovexattr(fd, ATOMIC_FILE_LIKE_ACL) < 0 && errno != ENODATA &&
	    errno != ENOTSUP)
		return -errno;
	return 0;
}

int
atomic_file_like(int fd, int dir_fd, const char *name, const struct stat *st)
{
	struct atomic_file_like_buffers *buffers;
	char path[ATOMIC_FILE_LIKE_PATH_MAX];
	int r = atomic_file_like_owner(fd, st);

	if (r < 0)
		return r;
	buffers = malloc(sizeof(*buffers));
	if (buffers == NULL)
		return -ENOMEM;
	proc_fd_path(dir_fd, path);
	(void)strlcat(path, "/", sizeof(path));
	(void)strlcat(path, name, sizeof(path));
	r = atomic_file_like_attributes(fd, path, buffers);
	free(buffers);
	return r;
}
