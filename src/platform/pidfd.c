/*
 * SPDX-License-Identifier: MIT
 */
#include "platform/pidfd.h"

#include <errno.h>
#include <stddef.h>
#include <sys/pidfd.h>

int
pidfd_open_process(pid_t pid)
{
	int fd = pidfd_open(pid, 0);

	return fd < 0 ? -errno : fd;
}

int
pidfd_send(int pid_fd, int signal)
{
	return pidfd_send_signal(pid_fd, signal, NULL, 0) < 0 ? -errno : 0;
}
