/*
 * cgroup: control groups of version 2.
 */
#include "platform/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "platform/fd.h"
#include "platform/pidfd.h"
#include "platform/proc.h"

#define CGROUP_FILE_MAX 4096
#define CGROUP_NUMBER_MAX 32

/* One line of mountinfo (proc(5)): the mount point is the fifth field, the type
 * the first behind " - ". Blanks in paths are octal there; ours has none. */
static bool
cgroup_parse_mount(const char *line, char *path)
{
	const char *type = strstr(line, " - ");

	if (type == NULL || strncmp(type, " - cgroup2 ", strlen(" - cgroup2 ")) != 0)
		return false;
	return sscanf(line, "%*s %*s %*s %*s %4095s", path) == 1;
}

static int
cgroup_find_mount(char *path)
{
	int fd = openat(proc_dir_fd(), "self/mountinfo", O_RDONLY | O_CLOEXEC);
	FILE *file = fd >= 0 ? fdopen(fd, "r") : NULL;
	bool found = false;
	char *line = NULL;
	size_t size = 0;

	if (file == NULL) {
		fd_close(&fd);
		return -errno;
	}
	while (!found && getline(&line, &size, file) > 0)
		found = cgroup_parse_mount(line, path);
	free(line);
	(void)fclose(file);
	return found ? 0 : -ENOENT;
}

int
cgroup_open_root(int *ret_fd)
{
	char path[PATH_MAX];
	int fd;
	int r = cgroup_find_mount(path);

	if (r < 0)
		return r;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	*ret_fd = fd;
	return 0;
}

int
cgroup_make(int parent_fd, const char *name, int *ret_fd)
{
	int fd;

	if (mkdirat(parent_fd, name, 0755) < 0 && errno != EEXIST)
		return -errno;
	fd = openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return -errno;
	*ret_fd = fd;
	return 0;
}

int
cgroup_write(int cgroup_fd, const char *file, const char *text)
{
	return fd_write_file(cgroup_fd, file, text);
}

int
cgroup_write_number(int cgroup_fd, const char *file, uint64_t number)
{
	char text[CGROUP_NUMBER_MAX];

	(void)snprintf(text, sizeof(text), "%" PRIu64, number);
	return cgroup_write(cgroup_fd, file, text);
}

int
cgroup_read_number(int cgroup_fd, const char *file, uint64_t *ret)
{
	char text[CGROUP_NUMBER_MAX];
	ssize_t n = fd_read_file(cgroup_fd, file, text, sizeof(text));

	if (n < 0)
		return (int)n;
	return sscanf(text, "%" SCNu64, ret) == 1 ? 0 : -ENODATA;
}

int
cgroup_read_key(int cgroup_fd, const char *file, const char *key, uint64_t *ret)
{
	char text[CGROUP_FILE_MAX];
	ssize_t n = fd_read_file(cgroup_fd, file, text, sizeof(text));
	size_t key_len = strlen(key);

	if (n < 0)
		return (int)n;
	for (const char *line = text; line[0] != '\0'; line++) {
		if (strncmp(line, key, key_len) == 0 && line[key_len] == ' ')
			return sscanf(line + key_len, "%" SCNu64, ret) == 1 ? 0 : -ENODATA;
		line = strchr(line, '\n');
		if (line == NULL)
			break;
	}
	return -ENODATA;
}

bool
cgroup_is_populated(int cgroup_fd)
{
	uint64_t populated;

	return cgroup_read_key(cgroup_fd, "cgroup.events", "populated", &populated) < 0 ||
	       populated != 0;
}

/* The pids stand one a line. Each is signalled by a pidfd, and only if it is still
 * listed when we have that: a number may have been used again. */
static bool
cgroup_lists(int cgroup_fd, const char *pid)
{
	char text[CGROUP_FILE_MAX];

	if (fd_read_file(cgroup_fd, "cgroup.procs", text, sizeof(text)) < 0)
		return true; /* too many to look at again */
	for (char *rest = text, *word; (word = strsep(&rest, "\n")) != NULL;) {
		if (strcmp(word, pid) == 0)
			return true;
	}
	return false;
}

void
cgroup_signal(int cgroup_fd, int signal)
{
	int fd = openat(cgroup_fd, "cgroup.procs", O_RDONLY | O_CLOEXEC);
	FILE *file = fd >= 0 ? fdopen(fd, "r") : NULL;
	char pid[CGROUP_NUMBER_MAX];

	if (file == NULL) {
		fd_close(&fd);
		return;
	}
	while (fscanf(file, "%31s", pid) == 1) {
		int CLEANUP_FD pid_fd = pidfd_open_process((pid_t)strtonum(pid, 1, INT_MAX, NULL));

		if (pid_fd >= 0 && cgroup_lists(cgroup_fd, pid))
			(void)pidfd_send(pid_fd, signal);
	}
	(void)fclose(file);
}

int
cgroup_kill(int cgroup_fd)
{
	int r = cgroup_write(cgroup_fd, "cgroup.kill", "1");

	if (r != -ENOENT)
		return r;
	(void)cgroup_write(cgroup_fd, "cgroup.freeze", "1");
	cgroup_signal(cgroup_fd, SIGKILL);
	return cgroup_write(cgroup_fd, "cgroup.freeze", "0");
}
