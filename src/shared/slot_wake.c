/*
 * SPDX-License-Identifier: MIT
 */
#include "shared/slot_wake.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>

#include "platform/fd.h"
#include "platform/pidfd.h"

int
slot_wake(const struct slot *slot)
{
	pid_t worker = atomic_load(&slot->worker_pid);
	int CLEANUP_FD worker_fd = pidfd_open_process(worker);

	if (worker_fd < 0)
		return worker_fd;
	/* That number is the worker's for sure if the slot still names it: the supervisor
	 * clears it before it reaps. */
	if (atomic_load(&slot->worker_pid) != worker)
		return -ESRCH;
	return pidfd_send(worker_fd, SIGUSR1);
}
