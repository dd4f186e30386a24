/*
 * connect: the connection to an address, made without a wait.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <linux/vm_sockets.h>

#include "client/handle.h"
#include "platform/clock.h"
#include "platform/fd.h"

/* A Unix listener's queue is full: nothing tells when it is not. */
#define CONNECT_RETRY_MS 10

/* How long a try may take when a session is come back to. */
#define CONNECT_AGAIN_MS 2000

/* Begins. Returns 0 when it is there; -EINPROGRESS, -EAGAIN; or another -errno. */
static int
connect_begin(struct vmm_guest *guest)
{
	const struct address *address = &guest->address;
	bool is_vsock = address->kind == ADDRESS_VSOCK;
	struct sockaddr_vm vm = {
		.svm_family = AF_VSOCK, .svm_cid = address->cid, .svm_port = vmm_guest_port(guest)
	};
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	int CLEANUP_FD fd =
	    socket(is_vsock ? AF_VSOCK : AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int r;

	if (fd < 0)
		return -errno;
	(void)strlcpy(un.sun_path, address->path, sizeof(un.sun_path));
	r = is_vsock ? connect(fd, (struct sockaddr *)&vm, sizeof(vm))
		     : connect(fd, (struct sockaddr *)&un, sizeof(un));
	if (r < 0 && errno != EINPROGRESS && errno != EINTR)
		return -errno;
	guest->fd = fd_steal(&fd);
	return r < 0 ? -EINPROGRESS : 0;
}

/* What came of one that was under way. */
static int
connect_look(struct vmm_guest *guest)
{
	struct pollfd wait = { .fd = guest->fd, .events = POLLOUT };
	int error = 0;
	socklen_t len = sizeof(error);

	if (poll(&wait, 1, 0) <= 0)
		return -EINPROGRESS;
	return getsockopt(guest->fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0 ? -errno : -error;
}

static uint64_t
connect_limit_ms(const struct vmm_guest *guest)
{
	uint64_t limit_ms = (uint64_t)guest->options[OPTION_CONNECT_MS];

	return guest->reconnect_ms == CLOCK_NEVER ? limit_ms
						  : clock_sooner(limit_ms, CONNECT_AGAIN_MS);
}

void
connect_step(struct vmm_guest *guest)
{
	uint64_t now = clock_mono_ms();
	int r;

	if (guest->has_ended || (!guest->is_connecting && now < guest->try_ms))
		return;
	if (guest->try_until_ms == CLOCK_NEVER)
		guest->try_until_ms = now + connect_limit_ms(guest);
	r = guest->is_connecting ? connect_look(guest) : connect_begin(guest);
	guest->is_connecting = r == -EINPROGRESS;
	if (r == 0)
		handle_connected(guest);
	else if (r == -EAGAIN)
		guest->try_ms = now + CONNECT_RETRY_MS;
	else if (r != -EINPROGRESS)
		vmm_guest_hangup(guest, -r);
}
