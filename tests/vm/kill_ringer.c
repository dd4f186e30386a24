/*
 * kill_ringer: kills a worker right after it has rung for process 1, and before that has
 * looked, so many times. Process 1 is held by ptrace(2) meanwhile, so that the order is none
 * of chance. Each worker rings for a KILL of SESSION, a detached one, by SIGCONT.
 *
 *     kill-ringer SESSION TIMES
 *
 * SPDX-License-Identifier: MIT
 */
#include <dirent.h>
#include <err.h>
#include <fcntl.h>
#include <stdbool.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <linux/vm_sockets.h>

#define PATIENCE_S 60
#define PAUSE_US 500
#define KILL_FRAME 0x44
#define EXEC_PORT 52

static ssize_t
read_file(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t len;

	if (fd < 0)
		return -1;
	len = read(fd, text, size - 1);
	(void)close(fd);
	text[len > 0 ? len : 0] = '\0';
	return len;
}

/* Whether a bell of process 1 has been rung and not been heard. */
static bool
is_rung(void)
{
	char path[64];
	char text[512];

	for (int fd = 0; fd < 1024; fd++) {
		const char *count;

		(void)snprintf(path, sizeof(path), "/proc/1/fdinfo/%d", fd);
		if (read_file(path, text, sizeof(text)) <= 0)
			continue;
		count = strstr(text, "eventfd-count:");
		if (count != NULL && strtoull(count + strlen("eventfd-count:"), NULL, 16) != 0)
			return true;
	}
	return false;
}

/* The worker that serves a KILL; 0: there is none. */
static pid_t
find_ringer(void)
{
	DIR *proc = opendir("/proc");
	pid_t found = 0;

	if (proc == NULL)
		err(1, "/proc");
	for (struct dirent *entry = readdir(proc); found == 0 && entry != NULL;
	     entry = readdir(proc)) {
		char path[300];
		char line[256];

		(void)snprintf(path, sizeof(path), "/proc/%s/cmdline", entry->d_name);
		if (atoi(entry->d_name) > 1 && read_file(path, line, sizeof(line)) > 0 &&
		    strstr(line, "worker ") != NULL && strstr(line, ": kill") != NULL)
			found = (pid_t)atoi(entry->d_name);
	}
	(void)closedir(proc);
	return found;
}

static void
wait_rung(bool wanted)
{
	time_t end = time(NULL) + PATIENCE_S;

	while (is_rung() != wanted) {
		if (time(NULL) > end)
			errx(1, wanted ? "no worker rings" : "process 1 does not hear");
		(void)usleep(PAUSE_US);
	}
}

static int
ask_for_kill(const char *session)
{
	struct sockaddr_vm address = {
		.svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_LOCAL, .svm_port = EXEC_PORT
	};
	char frame[128] = { KILL_FRAME };
	int fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int len = snprintf(
	    frame + 5, sizeof(frame) - 5, "{\"session\":%s,\"signal\":%d}", session, SIGCONT);

	frame[1] = (char)len;
	if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ||
	    write(fd, frame, (size_t)len + 5) != len + 5)
		err(1, "vsock");
	return fd;
}

static void
kill_one(const char *session)
{
	pid_t ringer;
	int status;
	int fd;

	if (ptrace(PTRACE_SEIZE, 1, 0, 0) < 0 || ptrace(PTRACE_INTERRUPT, 1, 0, 0) < 0 ||
	    waitpid(1, &status, __WALL) != 1)
		err(1, "can't hold process 1");
	fd = ask_for_kill(session);
	wait_rung(true);
	ringer = find_ringer();
	if (ringer == 0 || kill(ringer, SIGKILL) < 0)
		errx(1, "the worker that rang is not there");
	if (ptrace(PTRACE_DETACH, 1, 0, 0) < 0)
		err(1, "can't let go of process 1");
	(void)close(fd);
	wait_rung(false);
}

int
main(int argc, char **argv)
{
	if (argc != 3)
		errx(2, "usage: kill-ringer SESSION TIMES");
	for (int i = 0; i < atoi(argv[2]); i++)
		kill_one(argv[1]);
	return 0;
}
