/*
 * SPDX-License-Identifier: MIT
 */
#include "platform/fdpass.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "platform/fd.h"

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
fdpass_send(int write_fd, const int *fds, size_t count, struct cmsghdr *control, struct iovec *note)
{
	char byte = 0;
	struct iovec piece = { .iov_base = &byte, .iov_len = 1 };
	struct msghdr message = {
		.msg_iov = note != NULL ? note : &piece,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = CMSG_SPACE(count * sizeof(int)),
	};

	control->cmsg_len = CMSG_LEN(count * sizeof(int));
	control->cmsg_level = SOL_SOCKET;
	control->cmsg_type = SCM_RIGHTS;
	memcpy(CMSG_DATA(control), fds, count * sizeof(int));
	return sendmsg(write_fd, &message, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

int
fdpass_receive(int read_fd, int flags, struct cmsghdr *control, size_t room, struct iovec *note)
{
	char byte;
	struct iovec piece = { .iov_base = &byte, .iov_len = 1 };
	struct msghdr message = {
		.msg_iov = note != NULL ? note : &piece,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = room,
	};
	ssize_t n;

	do {
		n = recvmsg(read_fd, &message, flags | MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	if (message.msg_controllen < CMSG_LEN(sizeof(int)) || control->cmsg_type != SCM_RIGHTS)
		return -EBADMSG;
	if (note != NULL)
		note->iov_len = (size_t)n;
	return (int)((control->cmsg_len - CMSG_LEN(0)) / sizeof(int));
}

int
fdpass_put(int write_fd, int fd, const void *note, size_t len)
{
	union fdpass_control control = { 0 };
	struct iovec piece = { .iov_base = (void *)note, .iov_len = len };

	return fdpass_send(write_fd, &fd, 1, &control.header, len > 0 ? &piece : NULL);
}

int
fdpass_take(int read_fd, int *ret_fd, void *ret_note, size_t len)
{
	union fdpass_control control = { 0 };
	struct iovec piece = { .iov_base = ret_note, .iov_len = len };
	/* CMSG_SPACE() would leave room for a second descriptor, which nobody would close. */
	int r = fdpass_receive(
	    read_fd, 0, &control.header, CMSG_LEN(sizeof(int)), len > 0 ? &piece : NULL);
	int CLEANUP_FD fd = -1;

	if (r < 0)
		return r;
	memcpy(&fd, CMSG_DATA(&control.header), sizeof(fd));
	if (piece.iov_len != len)
		return -EBADMSG;
	*ret_fd = fd_steal(&fd);
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
