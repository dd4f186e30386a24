/*
 * SPDX-License-Identifier: MIT
 */
#include "platform/pidfd.h"

#include <stddef.h>

#include "platform/compat.h"
#include "platform/io_result.h"

int
pidfd_open_process(pid_t pid)
{
	return io_result(pidfd_open(pid, 0));
}

int
pidfd_send(int pid_fd, int signal)
{
	return io_result(pidfd_send_signal(pid_fd, signal, NULL, 0));
}
