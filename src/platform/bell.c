/*
 * SPDX-License-Identifier: MIT
 */
#include "platform/bell.h"

#include <errno.h>
#include <sys/eventfd.h>

int
bell_open(void)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	return fd < 0 ? -errno : fd;
}

void
bell_ring(int fd)
{
	/* EAGAIN: it has been rung more often than it can count. */
	(void)eventfd_write(fd, 1);
}

void
bell_silence(int fd)
{
	eventfd_t rings;

	(void)eventfd_read(fd, &rings);
}
