/*
 * SPDX-License-Identifier: MIT
 */
#include "platform/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "platform/dir.h"
#include "platform/fd.h"
#include "platform/pidfd.h"
#include "platform/procs.h"
#include "platform/stream.h"
#include "platform/text.h"

#define CGROUP_FILE_MAX 4096
#define CGROUP_NUMBER_MAX 32

/* How deep to follow the cgroups that a session may have made below its own. */
#define CGROUP_DEPTH_MAX 32

#define CGROUP_CLEAR_LOOK_MS 10

/* Of a directory that has none below it. */
#define CGROUP_LINKS 2

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

	(void)text_format(text, sizeof(text), "%" PRIu64, number);
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
cgroup_parse_key(const char *text, const char *key, uint64_t *ret)
{
	size_t key_len = strlen(key);

	for (const char *line = text; line[0] != '\0'; line++) {
		if (strncmp(line, key, key_len) == 0 && line[key_len] == ' ')
			return sscanf(line + key_len, "%" SCNu64, ret) == 1 ? 0 : -ENODATA;
		line = strchr(line, '\n');
		if (line == NULL)
			break;
	}
	return -ENODATA;
}

int
cgroup_read_key(int cgroup_fd, const char *file, const char *key, uint64_t *ret)
{
	char text[CGROUP_FILE_MAX];
	ssize_t n = fd_read_file(cgroup_fd, file, text, sizeof(text));

	return n < 0 ? (int)n : cgroup_parse_key(text, key, ret);
}

bool
cgroup_is_populated(int cgroup_fd)
{
	uint64_t populated;

	return cgroup_read_key(cgroup_fd, "cgroup.events", "populated", &populated) < 0 ||
	       populated != 0;
}

bool
cgroup_is_vacant(int cgroup_fd)
{
	char text[CGROUP_FILE_MAX];
	uint64_t populated;
	uint64_t frozen = 0;

	if (fd_read_file(cgroup_fd, "cgroup.events", text, sizeof(text)) < 0 ||
	    cgroup_parse_key(text, "populated", &populated) < 0)
		return false;
	(void)cgroup_parse_key(text, "frozen", &frozen);
	return populated == 0 && frozen == 0;
}

bool
cgroup_is_limited(int cgroup_fd)
{
	static const char *const files[] = { "cpu.max", "memory.high", "memory.max",
		"memory.swap.max", "pids.max" };
	char text[CGROUP_FILE_MAX];

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		/* A file that is not there limits nothing. */
		if (fd_read_file(cgroup_fd, files[i], text, sizeof(text)) > 0 &&
		    strncmp(text, "max", strlen("max")) != 0)
			return true;
	}
	return false;
}

/* There is one pid on a line. Each is signalled by a pidfd, and only if it is still listed
 * once we have that: the number may have been used again. */
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

static void
cgroup_signal_own(int cgroup_fd, int signal)
{
	FILE CLEANUP_FILE *file = NULL;
	char pid[CGROUP_NUMBER_MAX];

	if (stream_open(cgroup_fd, "cgroup.procs", &file) < 0)
		return;
	while (fscanf(file, "%31s", pid) == 1) {
		int CLEANUP_FD pid_fd = pidfd_open_process((pid_t)strtonum(pid, 1, INT_MAX, NULL));

		if (pid_fd >= 0 && cgroup_lists(cgroup_fd, pid))
			(void)pidfd_send(pid_fd, signal);
	}
}

/* ---- all of a tree ----------------------------------------------------- */

/* Is called with each cgroup right below another, which is at DEPTH. */
typedef void cgroup_visit_fn(int parent_fd, const char *name, int depth, void *context);

/* What can't be read is left out: the callers look afterwards whether anything is left, and
 * repeat the walk. */
static void
cgroup_each_below(int cgroup_fd, cgroup_visit_fn *visit, int depth, void *context)
{
	DIR CLEANUP_DIR *dir = NULL;
	struct dirent *entry;

	if (depth >= CGROUP_DEPTH_MAX || dir_open(cgroup_fd, ".", 0, &dir) < 0)
		return;
	while (dir_next(dir, &entry) == 0 && entry != NULL) {
		if (entry->d_type == DT_DIR)
			visit(dirfd(dir), entry->d_name, depth, context);
	}
}

static int
cgroup_open_below(int parent_fd, const char *name)
{
	return openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
}

static void
cgroup_signal_below(int parent_fd, const char *name, int depth, void *context)
{
	int CLEANUP_FD fd = cgroup_open_below(parent_fd, name);
	const int *signal = context;

	if (fd < 0)
		return;
	cgroup_signal_own(fd, *signal);
	cgroup_each_below(fd, cgroup_signal_below, depth + 1, context);
}

void
cgroup_signal(int cgroup_fd, int signal)
{
	cgroup_signal_own(cgroup_fd, signal);
	cgroup_each_below(cgroup_fd, cgroup_signal_below, 0, &signal);
}

bool
cgroup_has_below(int cgroup_fd)
{
	struct stat status;

	/* Each has its ".." here. */
	return fstat(cgroup_fd, &status) == 0 && status.st_nlink > CGROUP_LINKS;
}

/* A thread that stands still sleeps in a way that can be interrupted. */
static bool
cgroup_own_stand_still(int cgroup_fd)
{
	FILE CLEANUP_FILE *file = NULL;
	char tid[CGROUP_NUMBER_MAX];
	int r = stream_open(cgroup_fd, "cgroup.threads", &file);

	if (r < 0)
		return r == -ENOENT || r == -ENODEV; /* it has been removed */
	while (fscanf(file, "%31s", tid) == 1) {
		char state = procs_read_state((pid_t)strtonum(tid, 1, INT_MAX, NULL));

		if (state == 'R' || state == 'D')
			return false;
	}
	return true;
}

static void
cgroup_look_below(int parent_fd, const char *name, int depth, void *context)
{
	int CLEANUP_FD fd = cgroup_open_below(parent_fd, name);
	bool *still = context;

	if (!*still || fd < 0 || !cgroup_has_below(fd))
		return;
	*still = depth + 1 < CGROUP_DEPTH_MAX && cgroup_own_stand_still(fd);
	cgroup_each_below(fd, cgroup_look_below, depth + 1, context);
}

bool
cgroup_stands_still(int cgroup_fd)
{
	bool still = true;

	/* What was born while its parent was looked at is seen the second time. */
	for (int i = 0; i < 2; i++)
		cgroup_each_below(cgroup_fd, cgroup_look_below, 0, &still);
	return still;
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

static void
cgroup_remove_below(int parent_fd, const char *name, int depth, void *context)
{
	int CLEANUP_FD fd = -1;

	if (unlinkat(parent_fd, name, AT_REMOVEDIR) == 0)
		return;
	fd = cgroup_open_below(parent_fd, name);
	if (fd < 0)
		return;
	cgroup_each_below(fd, cgroup_remove_below, depth + 1, context);
	(void)unlinkat(parent_fd, name, AT_REMOVEDIR);
}

int
cgroup_remove(int parent_fd, const char *name)
{
	int CLEANUP_FD fd = -1;

	if (unlinkat(parent_fd, name, AT_REMOVEDIR) == 0)
		return 0;
	if (errno != EBUSY)
		return -errno;
	fd = cgroup_open_below(parent_fd, name);
	if (fd < 0)
		return -errno;
	if (cgroup_is_populated(fd))
		return -EBUSY;
	cgroup_each_below(fd, cgroup_remove_below, 0, NULL);
	return unlinkat(parent_fd, name, AT_REMOVEDIR) < 0 ? -errno : 0;
}

int
cgroup_clear(int parent_fd, const char *name, int timeout_ms)
{
	int CLEANUP_FD fd = cgroup_open_below(parent_fd, name);
	int waited_ms = 0;

	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	while (cgroup_is_populated(fd)) {
		(void)cgroup_kill(fd);
		if (waited_ms >= timeout_ms)
			return -EBUSY;
		(void)poll(NULL, 0, CGROUP_CLEAR_LOOK_MS);
		waited_ms += CGROUP_CLEAR_LOOK_MS;
	}
	return cgroup_remove(parent_fd, name);
}
