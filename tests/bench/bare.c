/*
 * bare: a server that does nothing but what no server can do without.
 *
 * SPDX-License-Identifier: MIT
 */
#include "bare.h"

#include <err.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "floor.h"
#include "platform/fd.h"
#include "protocol/frame.h"

#define BARE_BACKLOG 1024
#define BARE_REQUEST_MAX 4096

extern char **environ;

/* OURS is the end that stays here. */
static void
bare_pipe(posix_spawn_file_actions_t *actions, int number, int ends[2], int ours)
{
	if (pipe2(ends, O_CLOEXEC) < 0)
		err(1, "pipe");
	(void)posix_spawn_file_actions_adddup2(actions, ends[1 - ours], number);
}

static void
bare_run(const char *const *argv)
{
	posix_spawn_file_actions_t actions;
	int ends[3][2];
	char byte;
	pid_t pid;

	(void)posix_spawn_file_actions_init(&actions);
	for (int i = 0; i < 3; i++)
		bare_pipe(&actions, i, ends[i], i == 0);
	if (posix_spawn(&pid, argv[0], &actions, NULL, (char *const *)(uintptr_t)argv, environ))
		errx(1, "%s", argv[0]);
	(void)posix_spawn_file_actions_destroy(&actions);
	for (int i = 0; i < 3; i++)
		fd_close(&ends[i][i != 0]);
	for (int i = 1; i < 3; i++)
		(void)!read(ends[i][0], &byte, 1);
	floor_wait(pid);
	for (int i = 0; i < 3; i++)
		fd_close(&ends[i][i == 0]);
}

static void
bare_serve(int listen_fd, const char *const *argv)
{
	uint8_t last[VMM_GUEST_HEADER_LEN + VMM_GUEST_EXIT_LEN];
	char request[BARE_REQUEST_MAX];

	frame_header_format(last, VMM_GUEST_EXIT, VMM_GUEST_EXIT_LEN);
	frame_exit_format(last + VMM_GUEST_HEADER_LEN, (struct frame_exit){ .code = 0 });
	for (;;) {
		int CLEANUP_FD fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC);

		/* The host sends all that it has to say at once. */
		if (fd < 0 || read(fd, request, sizeof(request)) <= 0 ||
		    write(fd, "OK 52\n", 6) != 6)
			continue;
		bare_run(argv);
		(void)!write(fd, last, sizeof(last));
	}
}

static void
bare_fork_workers(int listen_fd, const char *const *argv, unsigned workers)
{
	for (unsigned i = 0; i < workers; i++) {
		pid_t pid = fork();

		if (pid < 0)
			err(1, "fork");
		if (pid > 0)
			continue;
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		bare_serve(listen_fd, argv);
	}
}

pid_t
bare_start(struct target *target, const char *folder, const char *const *argv, unsigned workers)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	int CLEANUP_FD fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	pid_t pid;

	*target = (struct target){ .address.kind = ADDRESS_UNIX };
	(void)snprintf(target->address.path, sizeof(target->address.path), "%s/bare", folder);
	(void)strlcpy(un.sun_path, target->address.path, sizeof(un.sun_path));
	if (fd < 0 || bind(fd, (struct sockaddr *)&un, sizeof(un)) < 0 ||
	    listen(fd, BARE_BACKLOG) < 0)
		err(1, "%s", un.sun_path);
	pid = fork();
	if (pid < 0)
		err(1, "fork");
	if (pid > 0)
		return pid;
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)signal(SIGPIPE, SIG_IGN);
	bare_fork_workers(fd, argv, workers);
	for (;;)
		(void)pause();
}

void
bare_stop(pid_t pid, struct target *target)
{
	(void)kill(pid, SIGKILL);
	(void)waitpid(pid, NULL, 0);
	(void)unlink(target->address.path);
}
