/*
 * kill_when: waits for a process whose command line has WORDS in it, then for so many
 * MICROSECONDS, and kills that process. It looks so often that it sees what lives for
 * milliseconds. Says the pid.
 *
 *     kill-when WORDS MICROSECONDS
 *
 * SPDX-License-Identifier: MIT
 */
#include <dirent.h>
#include <err.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define PATIENCE_S 60
#define PAUSE_US 100

static int
has_words(const char *pid, const char *words)
{
	char line[256];
	char path[300];
	ssize_t n;
	int fd;

	(void)snprintf(path, sizeof(path), "/proc/%s/cmdline", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	n = read(fd, line, sizeof(line) - 1);
	(void)close(fd);
	line[n > 0 ? n : 0] = '\0';
	return strstr(line, words) != NULL;
}

/* Returns its pid, or 0. */
static pid_t
find(DIR *proc, const char *words)
{
	pid_t own = getpid();

	rewinddir(proc);
	for (struct dirent *entry = readdir(proc); entry != NULL; entry = readdir(proc)) {
		pid_t pid = (pid_t)atoi(entry->d_name);

		if (pid > 0 && pid != own && has_words(entry->d_name, words))
			return pid;
	}
	return 0;
}

int
main(int argc, char **argv)
{
	time_t end = time(NULL) + PATIENCE_S;
	DIR *proc = opendir("/proc");
	pid_t pid = 0;

	if (argc != 3 || proc == NULL)
		errx(2, "usage: kill-when WORDS MICROSECONDS");
	while (pid == 0 && time(NULL) < end) {
		pid = find(proc, argv[1]);
		(void)usleep(PAUSE_US);
	}
	if (pid == 0)
		errx(1, "no process has '%s' in its command line", argv[1]);
	(void)usleep((useconds_t)atoi(argv[2]));
	if (kill(pid, SIGKILL) < 0)
		err(1, "%d", pid);
	printf("%d\n", pid);
	return 0;
}
