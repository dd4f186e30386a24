/*
 * SPDX-License-Identifier: MIT
 */
#include "supervisor/own_fd.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <unistd.h>

#include "platform/fd.h"
#include "platform/io_result.h"

int
own_fd_copy(int fd)
{
	return io_result(fcntl(fd, F_DUPFD_CLOEXEC, OWN_FD_MIN));
}

int
own_fd_hide(int fd)
{
	int hidden = own_fd_copy(fd);

	if (hidden < 0)
		return fd;
	fd_close(&fd);
	return hidden;
}

void
own_fd_close_others(int kept_fd)
{
	if (kept_fd > OWN_FD_MIN)
		(void)close_range(OWN_FD_MIN, (unsigned)kept_fd - 1, 0);
	(void)close_range((unsigned)kept_fd + 1, ~0U, 0);
}
