/*
 * By sendfile(2): copy_file_range(2) refuses two file systems of different kinds, and was
 * wrong between some of them until Linux 5.19.
 *
 * SPDX-License-Identifier: MIT
 */
#include "session/file/copy.h"

#include <errno.h>
#include <stdbool.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "platform/io_result.h"
#include "platform/watchdog.h"
#include "session/file/reply.h"
#include "session/rest.h"

/* Bytes copied between two looks at the host: this much moves within the stall timeout. */
#define FILE_COPY_PIECE (1024 * 1024)

bool
file_copy_next_data(int fd, off_t *offset, off_t size, off_t *ret_end)
{
	off_t begin = lseek(fd, *offset, SEEK_DATA);
	off_t end;

	if (begin < 0 && errno == ENXIO)
		return false;
	if (begin >= 0)
		*offset = begin;
	end = begin < 0 ? size : lseek(fd, begin, SEEK_HOLE);
	/* A hole that was made here since then is read as data: behind it there may be more. */
	*ret_end = end <= *offset || end > size ? size : end;
	return *offset < size;
}

static int
file_copy_run(struct session *session, int from_fd, int to_fd, off_t offset, off_t end)
{
	if (lseek(to_fd, offset, SEEK_SET) < 0)
		return -errno;
	while (offset < end) {
		off_t left = end - offset;
		ssize_t n;
		int r;

		rest_point();
		n = sendfile(to_fd, from_fd, &offset,
		    left < FILE_COPY_PIECE ? (size_t)left : FILE_COPY_PIECE);
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n == 0)
			return -EIO;
		watchdog_ping();
		r = session != NULL ? file_reply_check(session) : 0; /* NULL: nobody waits */
		if (r < 0)
			return r;
	}
	return 0;
}

int
file_copy(struct session *session, int from_fd, int to_fd)
{
	struct stat status;
	off_t offset = 0;
	off_t end;

	if (fstat(from_fd, &status) < 0)
		return -errno;
	while (offset < status.st_size &&
	       file_copy_next_data(from_fd, &offset, status.st_size, &end)) {
		int r = file_copy_run(session, from_fd, to_fd, offset, end);

		if (r < 0)
			return r;
		offset = end;
	}
	return io_result(ftruncate(to_fd, status.st_size));
}

int
file_copy_over(int from_fd, int to_fd, off_t size)
{
	return file_copy_run(NULL, from_fd, to_fd, 0, size);
}
