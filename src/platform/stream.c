/*
 * SPDX-License-Identifier: MIT
 */
#include "platform/stream.h"

#include <errno.h>
#include <fcntl.h>

#include "platform/fd.h"

int
stream_take(int fd, FILE **ret)
{
	FILE *stream = fdopen(fd, "r");
	int error = errno;

	if (stream == NULL) {
		fd_close(&fd);
		return -error;
	}
	*ret = stream;
	return 0;
}

int
stream_open(int dir_fd, const char *path, FILE **ret)
{
	int fd = openat(dir_fd, path, O_RDONLY | O_CLOEXEC);

	return fd < 0 ? -errno : stream_take(fd, ret);
}

void
stream_close(FILE **stream)
{
	int saved = errno;

	if (*stream != NULL) {
		(void)fclose(*stream);
		*stream = NULL;
	}
	errno = saved;
}
