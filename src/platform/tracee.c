/*
 * SPDX-License-Identifier: MIT
 */
#include "platform/tracee.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

/* How many one call settles: threads may end faster than they are reaped. */
#define TRACEE_SETTLE_MAX 256

/* A signal that only a tracer gets to see, or asks for. */
static bool
tracee_is_ours(int signal)
{
	return signal == SIGTRAP || signal == SIGSTOP || signal >= SIGRTMAX;
}

void
tracee_let_go(const siginfo_t *info)
{
	int signal = tracee_is_ours(info->si_status) ? 0 : info->si_status;

	(void)ptrace(PTRACE_DETACH, info->si_pid, NULL, (void *)(intptr_t)signal);
}

void
tracee_settle(pid_t main_pid)
{
	for (int i = 0; i < TRACEE_SETTLE_MAX; i++) {
		siginfo_t info = { .si_pid = 0 };

		if (waitid(P_ALL, 0, &info, WEXITED | WSTOPPED | WNOHANG | WNOWAIT) < 0 ||
		    info.si_pid == 0)
			return;
		if (info.si_code == CLD_TRAPPED)
			tracee_let_go(&info);
		else if (info.si_code == CLD_STOPPED)
			(void)waitid(P_PID, (id_t)info.si_pid, &info, WSTOPPED | WNOHANG);
		else if (info.si_pid == main_pid)
			return;
		else
			(void)wait4(info.si_pid, NULL, WNOHANG, NULL);
	}
}
