/*
 * group: everything that one session started.
 */
#include "session/run/group.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/wait.h>

#include "platform/cgroup.h"
#include "platform/fd.h"
#include "platform/procs.h"
#include "shared/signal_request.h"

void
group_signal(const struct group *group, int signal)
{
	(void)kill(-group->pid, signal);
}

void
group_kill(const struct group *group)
{
	if (group->cgroup_fd < 0 || cgroup_kill(group->cgroup_fd) < 0)
		(void)kill(-group->pid, SIGKILL);
}

bool
group_obey_signal_request(const struct group *group)
{
	uint64_t session = atomic_load_explicit(&group->slot->session, memory_order_relaxed);
	int signal = signal_request_look(&group->slot->signal_request, session);

	if (signal == 0)
		return false;
	if (signal == SIGKILL)
		group_kill(group);
	else
		group_signal(group, signal);
	signal_request_done(&group->slot->signal_request, session, signal);
	return signal == SIGKILL;
}

bool
group_has_ended(const struct group *group, struct group_end *ret)
{
	siginfo_t info = { .si_pid = 0 };

	if (waitid(P_PID, (id_t)group->pid, &info, WEXITED | WNOHANG | WNOWAIT) < 0 ||
	    info.si_pid == 0)
		return false;
	ret->signaled = info.si_code != CLD_EXITED;
	ret->code = ret->signaled ? 0 : info.si_status;
	ret->signal = ret->signaled ? info.si_status : 0;
	return true;
}

bool
group_has_ended_hidden(const struct group *group, struct group_end *ret)
{
	int status;

	if (procs_read_status(group->pid, &status) < 0)
		return false;
	ret->signaled = WIFSIGNALED(status);
	ret->code = ret->signaled ? 0 : WEXITSTATUS(status);
	ret->signal = ret->signaled ? WTERMSIG(status) : 0;
	return true;
}

bool
group_is_empty(const struct group *group)
{
	if (group->cgroup_fd >= 0)
		return !cgroup_is_populated(group->cgroup_fd);
	return !procs_group_lives(group->pid);
}

void
group_reap(struct group *group, struct rusage *ret_usage)
{
	/* From here on the supervisor has nothing to kill if this worker dies. */
	atomic_store(&group->slot->child_pid, 0);
	while (wait4(group->pid, NULL, 0, ret_usage) < 0 && errno == EINTR)
		continue;
	fd_close(&group->pid_fd);
}
