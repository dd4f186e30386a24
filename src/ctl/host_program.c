/*
 * SPDX-License-Identifier: MIT
 */
#include "ctl/host_program.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ctl/command.h"
#include "ctl/signals.h"
#include "platform/fd.h"
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

/* ---- one whose output is read -------------------------------------------- */

static int
host_program_spawn(char **argv, int in_fd, int out_fd, pid_t *ret_pid)
{
	struct sigaction action = { .sa_handler = SIG_DFL };
	posix_spawn_file_actions_t actions;
	int r = posix_spawn_file_actions_init(&actions);

	if (r != 0)
		return -r;
	/* Where that is ignored the kernel would reap the child, status and all. */
	(void)sigemptyset(&action.sa_mask);
	(void)sigaction(SIGCHLD, &action, NULL);
	r = posix_spawn_file_actions_adddup2(&actions, in_fd, STDIN_FILENO);
	if (r == 0)
		r = posix_spawn_file_actions_adddup2(&actions, out_fd, STDOUT_FILENO);
	if (r == 0)
		r = posix_spawn_file_actions_addopen(
		    &actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
	if (r == 0)
		r = posix_spawnp(ret_pid, argv[0], &actions, NULL, argv, environ);
	(void)posix_spawn_file_actions_destroy(&actions);
	return -r;
}

static int
host_program_wait(pid_t pid, int *ret_status)
{
	pid_t ended;

	do
		ended = waitpid(pid, ret_status, 0);
	while (ended < 0 && errno == EINTR);
	return ended < 0 ? -errno : 0;
}

int
host_program_read(char **argv, int in_fd, size_t max, char **ret, size_t *ret_len, int *ret_status)
{
	char *text = malloc(max + 1);
	int out[2] = { -1, -1 };
	ssize_t n = 0;
	pid_t pid = 0;
	int r = 0;

	if (text == NULL)
		return -ENOMEM;
	if (pipe2(out, O_CLOEXEC) < 0)
		r = -errno;
	if (r == 0)
		r = host_program_spawn(argv, in_fd, out[1], &pid);
	fd_close(&out[1]);
	if (r == 0) {
		n = fd_read_full(out[0], text, max + 1);
		if (n > (ssize_t)max)
			n = -EFBIG;
		if (n < 0)
			(void)kill(pid, SIGKILL);
		r = host_program_wait(pid, ret_status);
		r = n < 0 ? (int)n : r;
	}
	fd_close(&out[0]);
	if (r < 0) {
		free(text);
		return r;
	}
	text[n] = '\0';
	*ret = text;
	*ret_len = (size_t)n;
	return 0;
}
