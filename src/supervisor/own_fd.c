/*
 * SPDX-License-Identifier: MIT
 */
#include "supervisor/own_fd.h"

#include <fcntl.h>
#include <unistd.h>

#include "platform/compat.h"
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

/* The first of KEPT from MIN on, or -1 (as unsigned: beyond all). */
static unsigned
own_fd_next(unsigned min, const int *kept, size_t count)
{
	unsigned next = ~0U;

	for (size_t i = 0; i < count; i++) {
		if ((unsigned)kept[i] >= min && (unsigned)kept[i] < next)
			next = (unsigned)kept[i];
	}
	return next;
}

void
own_fd_close_others(unsigned min, const int *kept, size_t count)
{
	unsigned next = own_fd_next(min, kept, count);

	while (next != ~0U) {
		if (next > min)
			(void)close_range(min, next - 1, 0);
		min = next + 1;
		next = own_fd_next(min, kept, count);
	}
	(void)close_range(min, ~0U, 0);
}
