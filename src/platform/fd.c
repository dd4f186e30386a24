/*
 * SPDX-License-Identifier: MIT
 */
#include "platform/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "platform/compat.h"

void
fd_close(int *fd)
{
	int saved = errno;

	if (*fd >= 0) {
		(void)close(*fd);
		*fd = -1;
	}
	errno = saved;
}

int
fd_close_written(int *fd)
{
	int taken = fd_steal(fd);

	return taken >= 0 && close(taken) < 0 && errno != EINTR ? -errno : 0;
}

int
fd_flush(int fd)
{
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);

	return copy < 0 ? -errno : fd_close_written(&copy);
}

int
fd_set_nonblock(int fd, bool on)
{
	int flags = fcntl(fd, F_GETFL);
	int wanted;

	if (flags < 0)
		return -errno;
	wanted = on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK;
	if (wanted != flags && fcntl(fd, F_SETFL, wanted) < 0)
		return -errno;
	return 0;
}

/* pread(2) and pwrite(2), and the two that go by the descriptor's own offset. */
typedef ssize_t fd_call(int fd, void *buf, size_t len, off_t offset);

static ssize_t
fd_call_read(int fd, void *buf, size_t len, off_t offset)
{
	(void)offset;
	return read(fd, buf, len);
}

static ssize_t
fd_call_write(int fd, void *buf, size_t len, off_t offset)
{
	(void)offset;
	return write(fd, buf, len);
}

static ssize_t
fd_call_pwrite(int fd, void *buf, size_t len, off_t offset)
{
	return pwrite(fd, buf, len, offset);
}

/* Makes CALL until LEN bytes are done, or it does none. Returns how many, or -errno. */
static ssize_t
fd_repeat(fd_call *call, int fd, void *buf, size_t len, off_t offset)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = call(fd, (char *)buf + done, len - done, offset + (off_t)done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		done += (size_t)n;
	}
	return (ssize_t)done;
}

ssize_t
fd_read_full(int fd, void *buf, size_t len)
{
	return fd_repeat(fd_call_read, fd, buf, len, 0);
}

static int
fd_all_written(ssize_t done, size_t len)
{
	if (done < 0)
		return (int)done;
	return (size_t)done == len ? 0 : -EIO;
}

int
fd_write_full(int fd, const void *buf, size_t len)
{
	return fd_all_written(fd_repeat(fd_call_write, fd, (void *)(uintptr_t)buf, len, 0), len);
}

ssize_t
fd_pread_full(int fd, void *buf, size_t len, off_t offset)
{
	return fd_repeat(pread, fd, buf, len, offset);
}

int
fd_pwrite_full(int fd, const void *buf, size_t len, off_t offset)
{
	return fd_all_written(
	    fd_repeat(fd_call_pwrite, fd, (void *)(uintptr_t)buf, len, offset), len);
}

ssize_t
fd_read_file(int dir_fd, const char *path, char *buf, size_t size)
{
	int CLEANUP_FD fd = openat(dir_fd, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	ssize_t len;

	if (fd < 0)
		return -errno;
	len = fd_read_full(fd, buf, size);
	if (len < 0)
		return len;
	if ((size_t)len == size)
		return -EFBIG;
	buf[len] = '\0';
	return len;
}

int
fd_write_file(int dir_fd, const char *path, const char *text)
{
	int CLEANUP_FD fd = openat(dir_fd, path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
	ssize_t n;

	if (fd < 0)
		return -errno;
	do {
		n = write(fd, text, strlen(text));
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	return (size_t)n == strlen(text) ? 0 : -EIO;
}

void
fd_open_standard(bool is_usable)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
		int wrong = fd == STDIN_FILENO ? O_WRONLY : O_RDONLY;

		if (fcntl(fd, F_GETFD) >= 0)
			continue;
		/* The lowest number that is free is this one. */
		if (open("/dev/null", (is_usable ? O_RDWR : wrong) | O_NOCTTY) < 0)
			(void)open("/", O_PATH);
	}
}

void
fd_close_inherited(void)
{
	(void)close_range(STDERR_FILENO + 1, ~0U, 0);
}
