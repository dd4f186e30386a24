/*
 * SPDX-License-Identifier: MIT
 */
#include "ctl/host_program.h"

#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ctl/command.h"
#include "ctl/signals.h"
#include "vmm-guest/protocol.h"

int
host_program_start(char **argv, pid_t *ret_pid)
{
	struct sigaction action = { .sa_handler = SIG_DFL };

	/* One that ignores it has its children reaped by the kernel, status and all. */
	(void)sigemptyset(&action.sa_mask);
	(void)sigaction(SIGCHLD, &action, NULL);
	signals_catch(SIGCHLD);
	return -posix_spawnp(ret_pid, argv[0], NULL, NULL, argv, environ);
}

int
host_program_complain(const char *name, int error)
{
	(void)command_fail("can't run '%s': %s", name, strerror(-error));
	switch (-error) {
	case ENOENT:
	case ENOTDIR:
		return VMM_GUEST_EXIT_NOT_FOUND;
	case EAGAIN:
	case ENOMEM:
		return VMM_GUEST_EXIT_AGENT;
	default:
		return VMM_GUEST_EXIT_CANNOT_RUN;
	}
}

bool
host_program_has_ended(pid_t pid, int *ret_status)
{
	return waitpid(pid, ret_status, WNOHANG) == pid;
}

int
host_program_exit_status(int status)
{
	return WIFSIGNALED(status) ? VMM_GUEST_EXIT_SIGNAL_BASE + WTERMSIG(status)
				   : WEXITSTATUS(status);
}
