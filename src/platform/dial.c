/*
 * dial: connections with a time limit.
 *
 * SPDX-License-Identifier: MIT
 */
#include "platform/dial.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <linux/vm_sockets.h>

#include "platform/clock.h"
#include "platform/fd.h"
#include "platform/listener.h"

#define DIAL_RETRY_MS 10

int
dial_result(int fd)
{
	int error = 0;
	socklen_t len = sizeof(error);

	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
		return -errno;
	return -error;
}

/* Waits for a connect(2) that is under way, or, where a Unix listener's queue is
 * full (EAGAIN: nothing is under way and poll(2) won't tell), sleeps a little. */
static int
dial_wait(int fd, int error, uint64_t deadline_ms)
{
	struct pollfd wait = { .fd = error == EAGAIN ? -1 : fd, .events = POLLOUT };
	uint64_t now = clock_mono_ms();
	int timeout = clock_poll_timeout(now, deadline_ms);
	int n;

	if (timeout == 0)
		return -ETIMEDOUT;
	if (error == EAGAIN) {
		(void)poll(
		    NULL, 0, timeout > 0 && timeout < DIAL_RETRY_MS ? timeout : DIAL_RETRY_MS);
		return -EAGAIN;
	}
	n = poll(&wait, 1, timeout);
	if (n < 0)
		return errno == EINTR ? -EINTR : -errno;
	if (n == 0)
		return -ETIMEDOUT;
	return dial_result(fd);
}

static int
dial_connect(int fd, const struct sockaddr *address, socklen_t len, uint64_t deadline_ms)
{
	int r;

	do {
		if (connect(fd, address, len) == 0 || errno == EISCONN)
			return 0;
		if (errno != EINPROGRESS && errno != EAGAIN && errno != EINTR && errno != EALREADY)
			return -errno;
		r = dial_wait(fd, errno, deadline_ms);
	} while (r == -EAGAIN || r == -EINTR);
	return r;
}

int
dial_open(const struct address *address, uint32_t port, int timeout_ms, int *ret_fd)
{
	struct sockaddr_vm vm = {
		.svm_family = AF_VSOCK, .svm_cid = address->cid, .svm_port = port
	};
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	bool is_vsock = address->kind == ADDRESS_VSOCK;
	uint64_t deadline = timeout_ms < 0 ? CLOCK_NEVER : clock_mono_ms() + (uint64_t)timeout_ms;
	int CLEANUP_FD fd =
	    socket(is_vsock ? AF_VSOCK : AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int r;

	if (fd < 0)
		return -errno;
	(void)strlcpy(un.sun_path, address->path, sizeof(un.sun_path));
	r = is_vsock ? dial_connect(fd, (struct sockaddr *)&vm, sizeof(vm), deadline)
		     : dial_connect(fd, (struct sockaddr *)&un, sizeof(un), deadline);
	if (r == 0)
		r = fd_set_nonblock(fd, false);
	if (r == 0)
		*ret_fd = fd_steal(&fd);
	return r;
}

int
dial_begin(const struct address_port *to, int *ret_fd)
{
	struct sockaddr_vm vm = {
		.svm_family = AF_VSOCK, .svm_cid = to->cid, .svm_port = to->port
	};
	int CLEANUP_FD fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -errno;
	if (connect(fd, (struct sockaddr *)&vm, sizeof(vm)) < 0 && errno != EINPROGRESS)
		return -errno;
	*ret_fd = fd_steal(&fd);
	return 0;
}

/* A link would lead to whatever socket its owner likes. */
static int
dial_check_owner(const char *path)
{
	struct stat status;

	if (fstatat(AT_FDCWD, path, &status, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	if (!S_ISSOCK(status.st_mode))
		return -ENOTSOCK;
	return status.st_uid == 0 || status.st_uid == geteuid() ? 0 : -EPERM;
}

int
dial_begin_unix(const char *path, uint32_t port, int *ret_fd)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	int n = snprintf(un.sun_path, sizeof(un.sun_path), "%s_%u", path, port);
	int CLEANUP_FD fd = -1;
	uint32_t peer;
	int r;

	if (n < 0 || (size_t)n >= sizeof(un.sun_path))
		return -ENAMETOOLONG;
	r = dial_check_owner(un.sun_path);
	if (r < 0)
		return r;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&un, sizeof(un)) < 0)
		return -errno;
	/* Another may have taken its place since. */
	r = listener_check_user(fd, &peer);
	if (r == 0)
		*ret_fd = fd_steal(&fd);
	return r;
}
