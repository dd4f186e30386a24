/*
 * target: the agent that is measured.
 *
 * SPDX-License-Identifier: MIT
 */
#include "target.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "platform/clock.h"
#include "platform/fd.h"

extern char **environ;

/* The agent that runs now: a measurement that fails must not leave it behind. */
static struct target *target_running;
static pid_t target_owner;

static void
target_stop_running(void)
{
	if (target_running != NULL && getpid() == target_owner)
		target_stop(target_running);
}

/* Ctrl-C, or a reader of the table who has seen enough, must not leave it either. */
static void
target_on_signal(int signal_number)
{
	if (target_running != NULL && getpid() == target_owner)
		(void)kill(target_running->pid, SIGTERM);
	(void)signal(signal_number, SIG_DFL);
	(void)raise(signal_number);
}

static void
target_guard_running(void)
{
	static const int ends[] = { SIGHUP, SIGINT, SIGPIPE, SIGTERM };

	if (target_owner != 0 || atexit(target_stop_running) != 0)
		return;
	target_owner = getpid();
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
		(void)signal(ends[i], target_on_signal);
}

void
target_find(struct target *target, const char *address)
{
	*target = (struct target){ .program = NULL };
	if (address_parse(address, &target->address) < 0)
		errx(1, "no address: %s", address);
}

/* Reads its log until it says that it is ready. */
static void
target_await_ready(int log_fd)
{
	char log[4096];
	size_t len = 0;

	while (len < sizeof(log) - 1) {
		ssize_t n = read(log_fd, log + len, sizeof(log) - 1 - len);

		if (n <= 0)
			errx(1, "the agent ended before it was ready");
		len += (size_t)n;
		log[len] = '\0';
		if (strstr(log, "ready: ") != NULL)
			return;
	}
	errx(1, "the agent does not say that it is ready");
}

/* The log is a pipe until the agent is ready; to a closed one it writes in vain. */
double
target_start(struct target *target, const char *program, const char *folder, unsigned workers)
{
	char workers_option[32];
	char listen_option[sizeof(target->address.path) + 32];
	char reserved_option[] = "--reserved=2";
	char *argv[] = { (char *)(uintptr_t)program, listen_option, workers_option, reserved_option,
		NULL };
	posix_spawn_file_actions_t actions;
	uint64_t start;
	int log[2];

	if (workers < 3)
		reserved_option[sizeof(reserved_option) - 2] = '0';
	*target = (struct target){ .program = program, .address.kind = ADDRESS_UNIX };
	(void)snprintf(target->address.path, sizeof(target->address.path), "%s/agent", folder);
	(void)snprintf(
	    listen_option, sizeof(listen_option), "--listen=unix:%s", target->address.path);
	(void)snprintf(workers_option, sizeof(workers_option), "--workers=%u", workers);
	if (pipe2(log, O_CLOEXEC) < 0)
		err(1, "pipe");
	(void)posix_spawn_file_actions_init(&actions);
	(void)posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_RDWR, 0);
	(void)posix_spawn_file_actions_adddup2(&actions, log[1], STDERR_FILENO);
	start = clock_mono_us();
	errno = posix_spawn(&target->pid, program, &actions, NULL, argv, environ);
	if (errno != 0)
		err(1, "%s", program);
	target_guard_running();
	target_running = target;
	fd_close(&log[1]);
	target_await_ready(log[0]);
	start = clock_mono_us() - start;
	fd_close(&log[0]);
	(void)posix_spawn_file_actions_destroy(&actions);
	return (double)start;
}

void
target_stop(struct target *target)
{
	if (target->pid == 0)
		return;
	(void)kill(target->pid, SIGTERM);
	while (waitpid(target->pid, NULL, 0) < 0 && errno == EINTR)
		continue;
	(void)unlink(target->address.path);
	target->pid = 0;
	target_running = NULL;
}
