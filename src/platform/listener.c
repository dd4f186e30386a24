/*
 * SPDX-License-Identifier: MIT
 */
#include "platform/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/utsname.h>
#include <unistd.h>
#include <linux/vm_sockets.h>

#include "platform/fd.h"
#include "platform/io_result.h"

/* How much of half a buffer the kernel keeps back. */
#define LISTENER_MESSAGE_LESS 64

/* Whether the kernel may count the packets that wait. What is older never does, and would let
 * small ones take thirty times the window in memory. */
static bool
listener_is_counted(void)
{
	struct utsname name;
	char *minor;
	unsigned long major;

	/* Nobody else needs uname(2): its wrapper would be one more name to bind. */
	if (syscall(SYS_uname, &name) < 0)
		return false;
	major = strtoul(name.release, &minor, 10);
	return major > 6 || (major == 6 && *minor == '.' && strtoul(minor + 1, NULL, 10) >= 3);
}

/* Gives what FD accepts a window of LISTENER_VSOCK_WINDOW. Where that is not to be had the
 * kernel's own has to do. */
static void
listener_widen(int fd)
{
	uint64_t size = LISTENER_VSOCK_WINDOW;

	if (!listener_is_counted())
		return;
	/* The size is cut to the largest. */
	(void)setsockopt(fd, AF_VSOCK, SO_VM_SOCKETS_BUFFER_MAX_SIZE, &size, sizeof(size));
	(void)setsockopt(fd, AF_VSOCK, SO_VM_SOCKETS_BUFFER_SIZE, &size, sizeof(size));
}

int
listener_open_vsock(uint32_t port, int *ret_fd)
{
	struct sockaddr_vm address = {
		.svm_family = AF_VSOCK,
		.svm_cid = VMADDR_CID_ANY,
		.svm_port = port,
	};
	int CLEANUP_FD fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -errno;
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return -errno;
	listener_widen(fd);
	if (listen(fd, LISTENER_BACKLOG) < 0)
		return -errno;
	*ret_fd = fd_steal(&fd);
	return 0;
}

/* Clears the way for a bind to ADDRESS: removes a socket that nobody listens on. */
static int
listener_remove_stale(const struct sockaddr_un *address)
{
	int CLEANUP_FD fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct stat status;

	if (fd < 0)
		return -errno;
	if (fstatat(AT_FDCWD, address->sun_path, &status, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(status.st_mode))
		return -EEXIST;
	if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0 || errno == EAGAIN)
		return -EADDRINUSE;
	if (errno != ECONNREFUSED)
		return -errno;
	return unlinkat(AT_FDCWD, address->sun_path, 0) < 0 && errno != ENOENT ? -errno : 0;
}

int
listener_open_unix(const char *path, int *ret_fd)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int CLEANUP_FD fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	mode_t mask;
	int r;

	if (fd < 0)
		return -errno;
	if (strlcpy(address.sun_path, path, sizeof(address.sun_path)) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	r = listener_remove_stale(&address);
	if (r < 0)
		return r;
	mask = umask(0177);
	r = io_result(bind(fd, (struct sockaddr *)&address, sizeof(address)));
	(void)umask(mask);
	if (r < 0)
		return r;
	if (listen(fd, LISTENER_BACKLOG) < 0)
		return -errno;
	*ret_fd = fd_steal(&fd);
	return 0;
}

int
listener_check_user(int conn_fd, uint32_t *ret_peer)
{
	struct ucred credentials;
	socklen_t len = sizeof(credentials);

	if (getsockopt(conn_fd, SOL_SOCKET, SO_PEERCRED, &credentials, &len) < 0)
		return -errno;
	*ret_peer = credentials.uid;
	return credentials.uid == 0 || credentials.uid == geteuid() ? 0 : -EPERM;
}

static int
listener_check_peer(int conn_fd, const struct sockaddr_vm *address, uint32_t *ret_peer)
{
	if (address->svm_family != AF_VSOCK)
		return listener_check_user(conn_fd, ret_peer);
	*ret_peer = address->svm_cid;
	return address->svm_cid == VMADDR_CID_HOST ? 0 : -EPERM;
}

int
listener_accept(int listener_fd, bool any_peer, int *ret_fd, uint32_t *ret_peer)
{
	/* Of a Unix socket's no more than the family is of use, and fits. */
	struct sockaddr_vm address = { .svm_family = AF_UNSPEC };
	socklen_t len = sizeof(address);
	int CLEANUP_FD fd =
	    accept4(listener_fd, (struct sockaddr *)&address, &len, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0)
		return errno == EINTR || errno == ECONNABORTED ? -EAGAIN : -errno;
	if (!any_peer && listener_check_peer(fd, &address, ret_peer) < 0)
		return -ECONNREFUSED;
	*ret_fd = fd_steal(&fd);
	return 0;
}

size_t
listener_message_max(int listener_fd)
{
	int size = 0;
	socklen_t len = sizeof(size);

	if (getsockopt(listener_fd, SOL_SOCKET, SO_SNDBUF, &size, &len) < 0 ||
	    size / 2 <= LISTENER_MESSAGE_LESS)
		return 0;
	return (size_t)(size / 2 - LISTENER_MESSAGE_LESS);
}
