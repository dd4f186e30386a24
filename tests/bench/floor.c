/*
 * floor: the same work with nobody in between but a copy.
 *
 * SPDX-License-Identifier: MIT
 */
#include "floor.h"

#include <err.h>
#include <errno.h>
#include <spawn.h>
#include <stddef.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fcntl.h>

#include "platform/fd.h"
#include "talk.h"

#define FLOOR_COPY (64 * 1024)

extern char **environ;

static _Alignas(4096) uint8_t floor_buffer[TALK_BUFFER];

static void
floor_set(posix_spawn_file_actions_t *actions, int number, int fd)
{
	if (fd < 0)
		(void)posix_spawn_file_actions_addopen(actions, number, "/dev/null", O_RDWR, 0);
	else
		(void)posix_spawn_file_actions_adddup2(actions, fd, number);
}

pid_t
floor_spawn(const char *const *argv, int stdin_fd, int stdout_fd)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	pid_t pid;

	(void)posix_spawn_file_actions_init(&actions);
	(void)posix_spawnattr_init(&attributes);
	if (stdin_fd >= 0 || stdout_fd >= 0) {
		floor_set(&actions, STDIN_FILENO, stdin_fd);
		floor_set(&actions, STDOUT_FILENO, stdout_fd);
		(void)posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID);
	}
	errno = posix_spawnp(
	    &pid, argv[0], &actions, &attributes, (char *const *)(uintptr_t)argv, environ);
	if (errno != 0)
		err(1, "%s", argv[0]);
	(void)posix_spawnattr_destroy(&attributes);
	(void)posix_spawn_file_actions_destroy(&actions);
	return pid;
}

void
floor_wait(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0) {
		if (errno != EINTR)
			err(1, "waitpid");
	}
	if (status != 0)
		errx(1, "a process of the floor ended with status 0x%x", (unsigned)status);
}

pid_t
floor_copier(int from_fd, int to_fd, int keep_fd)
{
	pid_t pid = fork();
	ssize_t n;

	if (pid < 0)
		err(1, "fork");
	if (pid > 0)
		return pid;
	if (keep_fd >= 0)
		(void)close(keep_fd);
	while ((n = read(from_fd, floor_buffer, FLOOR_COPY)) > 0) {
		if (fd_write_full(to_fd, floor_buffer, (size_t)n) < 0)
			_exit(1);
	}
	_exit(n < 0 && errno != EIO);
}

uint64_t
floor_drain(int fd)
{
	uint64_t bytes = 0;
	ssize_t n;

	while ((n = read(fd, floor_buffer, sizeof(floor_buffer))) > 0)
		bytes += (uint64_t)n;
	if (n < 0)
		err(1, "read");
	return bytes;
}

void
floor_fill(int fd, uint64_t len, size_t most)
{
	if (most > FLOOR_COPY)
		most = FLOOR_COPY;
	while (len > 0) {
		size_t step = len < most ? (size_t)len : most;
		int r = fd_write_full(fd, floor_buffer, step);

		if (r < 0)
			errx(1, "write: error %d", -r);
		len -= step;
	}
}
