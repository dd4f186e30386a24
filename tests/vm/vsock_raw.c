/*
 * vsock_raw: sends standard input, as it is, to a vsock port, and writes what
 * comes back to standard output until the other side closes. For the VM tests,
 * which make their frames in Python; it shares no code with what they test.
 * With -l it listens instead, in a process of its own that has begun to when this
 * one ends, and writes what one caller says.
 *
 * SPDX-License-Identifier: MIT
 */
#include <err.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/vm_sockets.h>

static int
connect_vsock(const char *cid, const char *port)
{
	struct sockaddr_vm address = {
		.svm_family = AF_VSOCK,
		.svm_cid = (unsigned)strtoul(cid, NULL, 10),
		.svm_port = (unsigned)strtoul(port, NULL, 10),
	};
	int fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		err(1, "socket");
	if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
		err(1, "connect to %s:%s", cid, port);
	return fd;
}

/* One read and the whole of what it gave written; false at the end of FROM. */
static bool
copy_some(int from, int to)
{
	static char buffer[65536];
	ssize_t got = read(from, buffer, sizeof(buffer));

	for (ssize_t done = 0; done < got;) {
		ssize_t wrote = write(to, buffer + done, (size_t)(got - done));

		if (wrote < 0)
			err(1, "write");
		done += wrote;
	}
	return got > 0;
}

static int
listen_vsock(const char *port)
{
	struct sockaddr_vm address = {
		.svm_family = AF_VSOCK,
		.svm_cid = VMADDR_CID_ANY,
		.svm_port = (unsigned)strtoul(port, NULL, 10),
	};
	int fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		err(1, "socket");
	if (bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, 1) < 0)
		err(1, "port %s", port);
	return fd;
}

static int
take_call(const char *port)
{
	int listener = listen_vsock(port);
	int fd;

	if (fork() != 0)
		return 0;
	fd = accept(listener, NULL, NULL);
	if (fd < 0)
		err(1, "accept");
	while (copy_some(fd, STDOUT_FILENO))
		;
	return 0;
}

int
main(int argc, char **argv)
{
	if (argc != 3)
		errx(2, "usage: vsock_raw CID PORT | vsock_raw -l PORT");
	if (strcmp(argv[1], "-l") == 0)
		return take_call(argv[2]);

	int fd = connect_vsock(argv[1], argv[2]);
	struct pollfd polled[] = {
		{ .fd = fd, .events = POLLIN },
		{ .fd = STDIN_FILENO, .events = POLLIN },
	};

	while (poll(polled, 2, -1) > 0) {
		if (polled[0].revents && !copy_some(fd, STDOUT_FILENO))
			return 0;
		if (polled[1].revents && !copy_some(STDIN_FILENO, fd))
			polled[1].fd = -1;
	}
	err(1, "poll");
}
