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
	int r = worker_fd < 0 ? worker_fd : 0;

	/* That number is the worker's for sure if the slot still names it: the supervisor
	 * clears it before it reaps. */
	if (atomic_load(&slot->worker_pid) != worker)
		return -ESRCH;
	if (r == 0)
		r = pidfd_send(worker_fd, SIGUSR1);
	/* Where the kernel has no descriptor or no memory for that, the number has to do, which
	 * was the worker's a moment ago: one that is not woken may sleep for ever. */
	if (r < 0 && r != -ESRCH && worker > 0)
		r = kill(worker, SIGUSR1) < 0 ? -errno : 0;
	return r;
}
