/*
 * host: the agent that is soaked, from outside.
 *
 * SPDX-License-Identifier: MIT
 */
#include "host.h"

#include <dirent.h>
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

#include "talk.h"
#include "vmm-guest/protocol.h"

#define HOST_PATIENCE_MS 60000
#define HOST_SETTLE_MS 30000
#define HOST_PAUSE_US 10000

extern char **environ;

/* ---- files of /proc ----------------------------------------------------- */

/* Reads FILE of PID. Returns its length, 0 where it is gone. */
static size_t
host_read(pid_t pid, const char *file, char *text, size_t size)
{
	char path[64];
	size_t len = 0;
	ssize_t n;
	int fd;

	(void)snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, file);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	while (fd >= 0 && len < size - 1 && (n = read(fd, text + len, size - 1 - len)) > 0)
		len += (size_t)n;
	if (fd >= 0)
		(void)close(fd);
	text[len] = '\0';
	return len;
}

static unsigned
host_count_fds(pid_t pid)
{
	char path[64];
	unsigned count = 0;
	DIR *dir;

	(void)snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	dir = opendir(path);
	while (dir != NULL && readdir(dir) != NULL)
		count++;
	if (dir != NULL)
		(void)closedir(dir);
	return count;
}

static unsigned long
host_memory_kb(pid_t pid)
{
	char text[4096];
	const char *line;

	(void)host_read(pid, "smaps_rollup", text, sizeof(text));
	line = strstr(text, "\nPss:");
	return line == NULL ? 0 : strtoul(line + 5, NULL, 10);
}

/* Reads the numbers of PID's children. Returns how many. */
static unsigned
host_children(pid_t pid, pid_t *pids, unsigned max)
{
	char file[64];
	char text[8192];
	unsigned count = 0;
	char *end;

	(void)snprintf(file, sizeof(file), "task/%d/children", (int)pid);
	(void)host_read(pid, file, text, sizeof(text));
	for (char *next = text; count < max; next = end) {
		long number = strtol(next, &end, 10);

		if (end == next)
			break;
		pids[count++] = (pid_t)number;
	}
	return count;
}

void
host_find_workers(const struct host *host, pid_t pids[HOST_WORKERS_MAX])
{
	pid_t children[2 * HOST_WORKERS_MAX];
	unsigned count = host_children(host->pid, children, 2 * HOST_WORKERS_MAX);
	char title[256];
	unsigned slot;

	memset(pids, 0, HOST_WORKERS_MAX * sizeof(*pids));
	for (unsigned i = 0; i < count; i++) {
		const char *word;

		(void)host_read(children[i], "cmdline", title, sizeof(title));
		word = strstr(title, ": worker ");
		if (word != NULL && sscanf(word, ": worker %u:", &slot) == 1 &&
		    slot < host->workers)
			pids[slot] = children[i];
	}
}

/* ---- its life ----------------------------------------------------------- */

bool
host_is_alive(const struct host *host)
{
	siginfo_t info = { 0 };

	return waitid(P_PID, (id_t)host->pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
	       info.si_pid == 0;
}

static void
host_await(struct host *host)
{
	uint64_t deadline = talk_now_ms() + HOST_PATIENCE_MS;
	static struct talk talk;

	while (talk_open(&talk, host->socket, VMM_GUEST_EXEC_PORT) < 0) {
		if (!host_is_alive(host) || talk_now_ms() > deadline) {
			(void)kill(host->pid, SIGKILL);
			errx(1, "the agent does not serve; its log: %s", host->log);
		}
		(void)usleep(HOST_PAUSE_US);
	}
	talk_close(&talk);
}

void
host_start(struct host *host, const char *program, const char *folder, unsigned workers)
{
	char listen_option[300];
	char workers_option[32];
	char *argv[] = { (char *)(uintptr_t)program, listen_option, workers_option,
		(char[]){ "--recycle=300" }, (char[]){ "--cgroup=off" }, NULL };
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	sigset_t none;

	host->workers = workers;
	(void)snprintf(host->socket, sizeof(host->socket), "%s/agent", folder);
	(void)snprintf(host->log, sizeof(host->log), "%s/log", folder);
	(void)snprintf(listen_option, sizeof(listen_option), "--listen=unix:%s", host->socket);
	(void)snprintf(workers_option, sizeof(workers_option), "--workers=%u", workers);
	(void)sigemptyset(&none);
	(void)posix_spawnattr_init(&attributes);
	(void)posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSID);
	(void)posix_spawnattr_setsigmask(&attributes, &none);
	(void)posix_spawn_file_actions_init(&actions);
	(void)posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDWR, 0);
	(void)posix_spawn_file_actions_addopen(
	    &actions, 2, host->log, O_WRONLY | O_CREAT | O_APPEND, 0600);
	(void)posix_spawn_file_actions_adddup2(&actions, 2, 1);
	errno = posix_spawn(&host->pid, program, &actions, &attributes, argv, environ);
	if (errno != 0)
		err(1, "%s", program);
	(void)posix_spawn_file_actions_destroy(&actions);
	(void)posix_spawnattr_destroy(&attributes);
	host_await(host);
}

int
host_stop(struct host *host)
{
	uint64_t deadline = talk_now_ms() + HOST_PATIENCE_MS;
	int status;

	(void)kill(host->pid, SIGTERM);
	while (waitpid(host->pid, &status, WNOHANG) == 0) {
		if (talk_now_ms() > deadline) {
			(void)kill(host->pid, SIGKILL);
			(void)waitpid(host->pid, &status, 0);
			return -1;
		}
		(void)usleep(HOST_PAUSE_US);
	}
	return status;
}

/* ---- how it is ---------------------------------------------------------- */

static void
host_look(const struct host *host, struct host_state *state)
{
	pid_t workers[2 * HOST_WORKERS_MAX];
	pid_t others[HOST_WORKERS_MAX];
	unsigned count = host_children(host->pid, workers, 2 * HOST_WORKERS_MAX);

	*state = (struct host_state){
		.processes = count,
		.descriptors = host_count_fds(host->pid),
		.memory_kb = host_memory_kb(host->pid),
	};
	for (unsigned i = 0; i < count; i++) {
		unsigned fds = host_count_fds(workers[i]);

		state->processes += host_children(workers[i], others, HOST_WORKERS_MAX);
		state->memory_kb += host_memory_kb(workers[i]);
		if (fds > state->worker_fds)
			state->worker_fds = fds;
	}
}

/* Whether none of BEFORE is there, and all places are taken. */
static bool
host_is_renewed(const struct host *host, const pid_t *before)
{
	pid_t now[HOST_WORKERS_MAX];

	host_find_workers(host, now);
	for (unsigned i = 0; i < host->workers; i++) {
		if (now[i] == 0 || now[i] == before[i])
			return false;
	}
	return true;
}

/* Says what is there besides workers. */
static void
host_show(const struct host *host)
{
	pid_t children[2 * HOST_WORKERS_MAX];
	unsigned count = host_children(host->pid, children, 2 * HOST_WORKERS_MAX);
	char title[256];

	for (unsigned i = 0; i < count; i++) {
		size_t len = host_read(children[i], "cmdline", title, sizeof(title));

		for (size_t j = 0; j + 1 < len; j++) {
			if (title[j] == '\0')
				title[j] = ' ';
		}
		if (strstr(title, ": worker ") == NULL || strstr(title, ": idle") == NULL)
			(void)printf("# process %d: '%s'\n", (int)children[i], title);
	}
}

bool
host_settle(const struct host *host, struct host_state *ret)
{
	uint64_t deadline = talk_now_ms() + HOST_SETTLE_MS;
	pid_t before[HOST_WORKERS_MAX];
	bool is_settled = false;

	host_find_workers(host, before);
	(void)kill(host->pid, SIGHUP);
	while (!is_settled && talk_now_ms() < deadline) {
		(void)usleep(HOST_PAUSE_US);
		host_look(host, ret);
		is_settled = ret->processes == host->workers && host_is_renewed(host, before);
	}
	/* What was seen last may have been of some who have left since. */
	host_look(host, ret);
	if (!is_settled)
		host_show(host);
	return is_settled;
}

static bool
host_was_killed(const pid_t *killed, unsigned count, pid_t pid)
{
	for (unsigned i = 0; i < count; i++) {
		if (killed[i] == pid)
			return true;
	}
	return false;
}

void
host_read_log(const struct host *host, const pid_t *killed, unsigned count, struct host_deaths *ret)
{
	FILE *log = fopen(host->log, "re");
	char line[512];

	*ret = (struct host_deaths){ 0 };
	while (log != NULL && fgets(line, sizeof(line), log) != NULL) {
		const char *words = strstr(line, "the next starts in ");
		const char *pid = strstr(line, "(pid ");

		if (words == NULL)
			continue;
		if (pid != NULL && host_was_killed(killed, count, (pid_t)strtol(pid + 5, NULL, 10)))
			ret->killed++;
		else
			ret->strange++;
		ret->waited_ms += strtoul(words + 19, NULL, 10);
	}
	if (log != NULL)
		(void)fclose(log);
}
