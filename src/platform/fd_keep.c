/*
 * SPDX-License-Identifier: MIT
 */
#include "platform/fd_keep.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

union fd_keep_control {
	struct cmsghdr header;
	char room[CMSG_SPACE(FD_KEEP_MAX * sizeof(int))];
};

int
fd_keep_put(int write_fd, const int *fds, size_t count)
{
	char byte = 0;
	struct iovec piece = { .iov_base = &byte, .iov_len = 1 };
	union fd_keep_control control = {
		.header = { .cmsg_len = CMSG_LEN(count * sizeof(int)),
		    .cmsg_level = SOL_SOCKET,
		    .cmsg_type = SCM_RIGHTS },
	};
	struct msghdr message = {
		.msg_iov = &piece,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = CMSG_SPACE(count * sizeof(int)),
	};

	memcpy(CMSG_DATA(&control.header), fds, count * sizeof(int));
	return sendmsg(write_fd, &message, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

int
fd_keep_look(int read_fd, int fds[FD_KEEP_MAX])
{
	char byte;
	struct iovec piece = { .iov_base = &byte, .iov_len = 1 };
	union fd_keep_control control = { 0 };
	struct msghdr message = {
		.msg_iov = &piece,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = CMSG_LEN(FD_KEEP_MAX * sizeof(int)),
	};
	size_t len;
	ssize_t n;

	do {
		n = recvmsg(read_fd, &message, MSG_PEEK | MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	if (message.msg_controllen < CMSG_LEN(sizeof(int)) ||
	    control.header.cmsg_type != SCM_RIGHTS)
		return -EBADMSG;
	len = control.header.cmsg_len - CMSG_LEN(0);
	memcpy(fds, CMSG_DATA(&control.header), len);
	return (int)(len / sizeof(int));
}
