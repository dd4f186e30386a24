/*
 * SPDX-License-Identifier: MIT
 */
#include "supervisor/listeners.h"

#include <fcntl.h>
#include <unistd.h>

#include "platform/fd.h"
#include "platform/listener.h"

static int
listeners_add(struct listeners *listeners, int r, int fd, enum worker_port port)
{
	if (r == 0)
		listeners->list[listeners->count++] =
		    (struct worker_listener){ .fd = fd, .port = port };
	return r;
}

static int
listeners_open_all(struct listeners *listeners, const struct address *address, uint32_t exec_port,
    uint32_t file_port)
{
	int fd = -1;
	int r;

	if (address->kind == ADDRESS_UNIX) {
		r = listener_open_unix(address->path, &fd);
		return listeners_add(listeners, r, fd, WORKER_PORT_BY_HANDSHAKE);
	}
	r = listener_open_vsock(exec_port, &fd);
	if (listeners_add(listeners, r, fd, WORKER_PORT_EXEC) < 0)
		return r;
	r = listener_open_vsock(file_port, &fd);
	return listeners_add(listeners, r, fd, WORKER_PORT_FILE);
}

static void
listeners_drop(struct listeners *listeners)
{
	for (int i = 0; i < listeners->count; i++)
		fd_close(&listeners->list[i].fd);
	listeners->count = 0;
}

int
listeners_open(struct listeners *listeners, const struct address *address, uint32_t exec_port,
    uint32_t file_port)
{
	int r = listeners_open_all(listeners, address, exec_port, file_port);

	if (r < 0)
		listeners_drop(listeners);
	return r;
}

void
listeners_close(struct listeners *listeners, const struct address *address)
{
	if (address->kind == ADDRESS_UNIX && listeners->count > 0)
		(void)unlinkat(AT_FDCWD, address->path, 0);
	listeners_drop(listeners);
}
