/*
 * SPDX-License-Identifier: MIT
 */
#include "platform/fd_keep.h"

#include <string.h>
#include <sys/socket.h>

#include "platform/fdpass.h"

union fd_keep_control {
	struct cmsghdr header;
	char room[CMSG_SPACE(FD_KEEP_MAX * sizeof(int))];
};

int
fd_keep_put(int write_fd, const int *fds, size_t count)
{
	union fd_keep_control control = { 0 };

	return fdpass_send(write_fd, fds, count, &control.header, NULL);
}

int
fd_keep_look(int read_fd, int fds[FD_KEEP_MAX])
{
	union fd_keep_control control = { 0 };
	int r = fdpass_receive(
	    read_fd, MSG_PEEK, &control.header, CMSG_LEN(FD_KEEP_MAX * sizeof(int)), NULL);

	if (r > 0)
		memcpy(fds, CMSG_DATA(&control.header), (size_t)r * sizeof(int));
	return r;
}
