/*
 * process_tree: what is killed, signalled and reaped of one session.
 *
 * SPDX-License-Identifier: MIT
 */
#include "session/run/process_tree.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/wait.h>

#include "platform/cgroup.h"
#include "platform/fd.h"
#include "platform/procs.h"
#include "shared/signal_request.h"

void
process_tree_signal(const struct process_tree *tree, int signal)
{
	(void)kill(-tree->pid, signal);
}

void
process_tree_kill(const struct process_tree *tree)
{
	if (tree->cgroup_fd < 0 || cgroup_kill(tree->cgroup_fd) < 0)
		(void)kill(-tree->pid, SIGKILL);
}

bool
process_tree_obey_signal_request(const struct process_tree *tree)
{
	uint64_t session = atomic_load_explicit(&tree->slot->session, memory_order_relaxed);
	int signal = signal_request_look(&tree->slot->signal_request, session);

	if (signal == 0)
		return false;
	if (signal == SIGKILL)
		process_tree_kill(tree);
	else
		process_tree_signal(tree, signal);
	signal_request_done(&tree->slot->signal_request, session, signal);
	return signal == SIGKILL;
}

bool
process_tree_has_ended(const struct process_tree *tree, struct process_tree_end *ret)
{
	siginfo_t info = { .si_pid = 0 };

	if (waitid(P_PID, (id_t)tree->pid, &info, WEXITED | WNOHANG | WNOWAIT) < 0 ||
	    info.si_pid == 0)
		return false;
	ret->signaled = info.si_code != CLD_EXITED;
	ret->code = ret->signaled ? 0 : info.si_status;
	ret->signal = ret->signaled ? info.si_status : 0;
	return true;
}

bool
process_tree_has_ended_hidden(const struct process_tree *tree, struct process_tree_end *ret)
{
	int status;

	if (procs_read_status(tree->pid, &status) < 0)
		return false;
	ret->signaled = WIFSIGNALED(status);
	ret->code = ret->signaled ? 0 : WEXITSTATUS(status);
	ret->signal = ret->signaled ? WTERMSIG(status) : 0;
	return true;
}

bool
process_tree_is_empty(const struct process_tree *tree)
{
	if (tree->cgroup_fd >= 0)
		return !cgroup_is_populated(tree->cgroup_fd);
	return !procs_group_lives(tree->pid);
}

void
process_tree_reap(struct process_tree *tree, struct rusage *ret_usage)
{
	/* From here on the supervisor has nothing to kill if this worker dies. */
	atomic_store(&tree->slot->child_pid, 0);
	while (wait4(tree->pid, NULL, 0, ret_usage) < 0 && errno == EINTR)
		continue;
	fd_close(&tree->pid_fd);
}
