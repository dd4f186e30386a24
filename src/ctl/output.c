/*
 * output: standard output or error, written to without waiting.
 *
 * O_NONBLOCK belongs to the open file, which the shell and other programs share.
 * So a pipe or a terminal is opened anew by /proc/self/fd, a socket is sent to with
 * MSG_DONTWAIT, a file never waits for a reader. Where none of these can be had, so
 * little is written after poll(2) as a pipe promises to take (pipe(7)).
 *
 * SPDX-License-Identifier: MIT
 */
#include "ctl/output.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "platform/fd.h"
#include "platform/io_error.h"
#include "platform/proc.h"

void
output_open(struct output *ret, int fd)
{
	char path[PROC_FD_PATH_MAX];
	struct stat st;
	int opened = -1;

	*ret = (struct output){ .fd = fd };
	if (fstat(fd, &st) < 0)
		return;
	ret->is_socket = S_ISSOCK(st.st_mode);
	/* One that is not for writing stays so. */
	if ((!S_ISFIFO(st.st_mode) && !S_ISCHR(st.st_mode)) ||
	    (fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDONLY)
		return;
	proc_fd_path(fd, path);
	opened = open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	ret->may_block = opened < 0;
	if (opened >= 0) {
		ret->fd = opened;
		ret->is_owned = true;
	}
}

void
output_close(struct output *output)
{
	if (output->is_owned)
		fd_close(&output->fd);
	output->fd = -1;
}

ssize_t
output_write(const struct output *output, const uint8_t *data, size_t len)
{
	struct pollfd ready = { .fd = output->fd, .events = POLLOUT };
	ssize_t n;

	if (output->may_block) {
		if (poll(&ready, 1, 0) <= 0)
			return -EAGAIN;
		len = len < PIPE_BUF ? len : PIPE_BUF;
	}
	do
		n = output->is_socket ? send(output->fd, data, len, MSG_DONTWAIT)
				      : write(output->fd, data, len);
	while (n < 0 && errno == EINTR);
	if (n < 0 && io_error_read(IO_PIPE, errno) == IO_NO_MEMORY) {
		io_error_pause();
		return -EAGAIN;
	}
	return n < 0 ? -errno : n;
}
