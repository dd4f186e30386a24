/*
 * SPDX-License-Identifier: MIT
 */
#include "platform/dir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>

#include "platform/fd.h"

int
dir_take(int fd, DIR **ret)
{
	DIR *dir = fdopendir(fd);
	int error = errno;

	if (dir == NULL) {
		fd_close(&fd);
		return -error;
	}
	*ret = dir;
	return 0;
}

int
dir_open(int dir_fd, const char *path, int flags, DIR **ret)
{
	int fd = openat(
	    dir_fd, path, O_RDONLY | O_DIRECTORY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC | flags, 0);

	return fd < 0 ? -errno : dir_take(fd, ret);
}

static bool
dir_is_dots(const char *name)
{
	return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

int
dir_next(DIR *dir, struct dirent **ret)
{
	struct dirent *entry;

	do {
		errno = 0;
		entry = readdir(dir);
		if (entry == NULL && errno != 0)
			return -errno;
	} while (entry != NULL && dir_is_dots(entry->d_name));
	*ret = entry;
	return 0;
}

void
dir_close(DIR **dir)
{
	int saved = errno;

	if (*dir != NULL) {
		(void)closedir(*dir);
		*dir = NULL;
	}
	errno = saved;
}
