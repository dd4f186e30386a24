/*
 * SPDX-License-Identifier: MIT
 */
#include "supervisor/cut.h"

#include <signal.h>
#include <stdatomic.h>

#include "platform/fd.h"
#include "platform/pidfd.h"
#include "platform/procs.h"
#include "platform/watchdog.h"

/* A descriptor of the child that SLOT names; -1 where that is not a child of WORKER's. It
 * can't be reaped meanwhile: its parent waits for it in the kernel. */
static int
cut_open_child(const struct slot *slot, pid_t worker)
{
	pid_t child = atomic_load(&slot->child_pid);
	int CLEANUP_FD fd = child > 1 ? pidfd_open_process(child) : -1;

	return fd >= 0 && procs_read_parent(child) == worker ? fd_steal(&fd) : -1;
}

bool
cut_start(struct slot *slot, pid_t worker, int timer_fd, uint32_t grace_ms, uint64_t *session)
{
	uint64_t current = atomic_load(&slot->session);
	uint8_t expected = SLOT_SPAWNING;
	int CLEANUP_FD child_fd = -1;

	/* It was given more time, which has passed too. Once the program runs that means nothing.
	 */
	if (current != 0 && current == *session)
		return atomic_load(&slot->spawning) == SLOT_SPAWN_NONE;
	child_fd = cut_open_child(slot, worker);
	if (child_fd < 0 ||
	    !atomic_compare_exchange_strong(&slot->spawning, &expected, SLOT_SPAWN_CUT))
		return false;
	*session = current;
	watchdog_set_other(timer_fd, grace_ms);
	return pidfd_send(child_fd, SIGKILL) == 0;
}
