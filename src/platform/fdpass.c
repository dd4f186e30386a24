/*
 * SPDX-License-Identifier: MIT
 */
#include "platform/fdpass.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

union fdpass_control {
	struct cmsghdr header;
	char room[CMSG_SPACE(sizeof(int))];
};

int
fdpass_open(int *ret_read_fd, int *ret_write_fd)
{
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) < 0)
		return -errno;
	*ret_read_fd = fds[0];
	*ret_write_fd = fds[1];
	return 0;
}

int
fdpass_put(int write_fd, int fd)
{
	char byte = 0;
	struct iovec piece = { .iov_base = &byte, .iov_len = 1 };
	union fdpass_control control = {
		.header = { .cmsg_len = CMSG_LEN(sizeof(int)),
		    .cmsg_level = SOL_SOCKET,
		    .cmsg_type = SCM_RIGHTS },
	};
	struct msghdr message = {
		.msg_iov = &piece,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};

	memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
	return sendmsg(write_fd, &message, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

int
fdpass_take(int read_fd, int *ret_fd)
{
	char byte;
	struct iovec piece = { .iov_base = &byte, .iov_len = 1 };
	union fdpass_control control;
	struct msghdr message = {
		.msg_iov = &piece,
		.msg_iovlen = 1,
		.msg_control = &control,
		/* CMSG_SPACE() would leave room for a second descriptor, which nobody would
		 * close. */
		.msg_controllen = CMSG_LEN(sizeof(int)),
	};
	ssize_t n;

	do {
		n = recvmsg(read_fd, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	if (message.msg_controllen < CMSG_LEN(sizeof(int)) ||
	    control.header.cmsg_type != SCM_RIGHTS)
		return -EBADMSG;
	memcpy(ret_fd, CMSG_DATA(&control.header), sizeof(*ret_fd));
	return 0;
}

int
fdpass_drop(int read_fd)
{
	char byte;
	ssize_t n;

	/* With nowhere to put it the kernel drops the descriptor: unix(7), SCM_RIGHTS. */
	do {
		n = recv(read_fd, &byte, sizeof(byte), MSG_DONTWAIT);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : 0;
}
