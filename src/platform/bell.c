/*
 * SPDX-License-Identifier: MIT
 */
#include "platform/bell.h"

#include <errno.h>
#include <sys/eventfd.h>

#include "platform/fd.h"
#include "platform/io_result.h"

int
bell_open(void)
{
	return io_result(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
}

void
bell_ring(int fd)
{
	const eventfd_t ring = 1;

	/* EAGAIN: it has been rung more often than it can count. */
	(void)fd_write_full(fd, &ring, sizeof(ring));
}

void
bell_silence(int fd)
{
	eventfd_t rings;

	(void)fd_read_full(fd, &rings, sizeof(rings));
}
