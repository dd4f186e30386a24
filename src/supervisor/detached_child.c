/*
 * SPDX-License-Identifier: MIT
 */
#include "supervisor/detached_child.h"

#include <signal.h>
#include <stdatomic.h>
#include <sys/wait.h>

#include "platform/cgroup.h"
#include "platform/fd.h"
#include "shared/cgroup_number.h"
#include "shared/detached.h"
#include "shared/signal_request.h"

void
detached_child_bury(struct scoreboard *board, pid_t pid)
{
	for (int i = 0; i < SCOREBOARD_DETACHED_MAX; i++) {
		struct scoreboard_detached *entry = &board->detached[i];

		if (atomic_load(&entry->state) == SCOREBOARD_RUNS &&
		    atomic_load(&entry->pid) == pid)
			atomic_store(&entry->pid, 0);
	}
}

void
detached_child_strike(struct scoreboard *board, int session_cgroups_fd)
{
	for (int i = 0; i < SCOREBOARD_DETACHED_MAX; i++) {
		struct scoreboard_detached *entry = &board->detached[i];

		if (atomic_load(&entry->state) == SCOREBOARD_RUNS && atomic_load(&entry->pid) == 0)
			detached_strike_if_empty(entry, session_cgroups_fd);
	}
}

/* Returns false where the main process is still the child of the worker that detached it,
 * which has not left yet: then we must not signal it. */
static bool
detached_child_signal(const struct scoreboard_detached *entry, struct pool *pool, int signal)
{
	int CLEANUP_FD cgroup_fd = cgroup_number_open(
	    pool->options.settings->session.session_cgroups_fd, atomic_load(&entry->cgroup));
	pid_t pid = atomic_load(&entry->pid);
	siginfo_t info;

	if (cgroup_fd >= 0 && signal == SIGKILL)
		return pool_kill_cgroup(pool, fd_steal(&cgroup_fd)) == 0;
	if (cgroup_fd >= 0 && pid == 0)
		cgroup_signal(cgroup_fd, signal);
	if (pid <= 1 || pool_owns(pool, pid))
		return true;
	if (waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) < 0)
		return false;
	(void)kill(-pid, signal);
	return true;
}

void
detached_child_obey(struct scoreboard *board, struct pool *pool)
{
	for (int i = 0; i < SCOREBOARD_DETACHED_MAX; i++) {
		struct scoreboard_detached *entry = &board->detached[i];
		uint64_t session;
		int signal;

		if (atomic_load(&entry->state) != SCOREBOARD_RUNS)
			continue;
		session = atomic_load(&entry->session);
		signal = signal_request_look(&entry->signal_request, session);
		if (signal != 0 && detached_child_signal(entry, pool, signal))
			signal_request_done(&entry->signal_request, session, signal);
	}
}

void
detached_child_signal_all(struct scoreboard *board, struct pool *pool, int signal)
{
	for (int i = 0; i < SCOREBOARD_DETACHED_MAX; i++) {
		if (atomic_load(&board->detached[i].state) == SCOREBOARD_RUNS)
			(void)detached_child_signal(&board->detached[i], pool, signal);
	}
}
