/*
 * SPDX-License-Identifier: MIT
 */
#include "platform/procs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "platform/dir.h"
#include "platform/fd.h"
#include "platform/proc.h"
#include "platform/text.h"

/* PF_KTHREAD of the kernel's include/linux/sched.h, in the ninth field. */
#define PROCS_KERNEL_THREAD 0x00200000UL

#define PROCS_STAT_MAX 1024

static bool
procs_read(int proc_fd, const char *name, struct procs_entry *ret)
{
	char path[32];
	char text[PROCS_STAT_MAX];
	const char *problem;
	const char *fields;
	unsigned long flags;
	long threads;

	ret->pid = (pid_t)strtonum(name, 1, INT32_MAX, &problem);
	if (problem != NULL)
		return false;
	(void)text_format(path, sizeof(path), "%d/stat", (int)ret->pid);
	if (fd_read_file(proc_fd, path, text, sizeof(text)) < 0)
		return false;
	/* A process may put anything into its name, parentheses too. */
	fields = strrchr(text, ')');
	if (fields == NULL ||
	    sscanf(fields,
		") %c %*d %d %*d %*d %*d %lu %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %ld",
		&ret->state, &ret->group, &flags, &threads) != 4)
		return false;
	/* Its first thread has ended, and others go on: it is not a zombie yet. */
	if (ret->state == 'Z' && threads > 1)
		ret->state = 'S';
	ret->is_kernel_thread = (flags & PROCS_KERNEL_THREAD) != 0;
	return true;
}

int
procs_read_status(pid_t pid, int *ret_status)
{
	char path[32];
	char text[PROCS_STAT_MAX];
	const char *fields;
	const char *last;
	ssize_t len;

	(void)text_format(path, sizeof(path), "%d/stat", (int)pid);
	len = fd_read_file(proc_dir_fd(), path, text, sizeof(text));
	if (len < 0)
		return (int)len;
	fields = strrchr(text, ')');
	last = strrchr(text, ' ');
	if (fields == NULL || last == NULL || strncmp(fields, ") Z", strlen(") Z")) != 0)
		return -EBUSY;
	return sscanf(last, "%d", ret_status) == 1 ? 0 : -EBADMSG;
}

/* Reads what there is of PID to TEXT. Returns 0 with *RET_FIELDS, behind its name, or -errno. */
static int
procs_read_fields(pid_t pid, char text[PROCS_STAT_MAX], const char **ret_fields)
{
	char path[32];
	ssize_t len;

	(void)text_format(path, sizeof(path), "%d/stat", (int)pid);
	len = fd_read_file(proc_dir_fd(), path, text, PROCS_STAT_MAX);
	if (len < 0)
		return (int)len;
	*ret_fields = strrchr(text, ')');
	return *ret_fields != NULL ? 0 : -EBADMSG;
}

char
procs_read_state(pid_t pid)
{
	char text[PROCS_STAT_MAX];
	const char *fields = NULL;
	char state;

	if (procs_read_fields(pid, text, &fields) < 0 || sscanf(fields, ") %c", &state) != 1)
		return '\0';
	return state;
}

pid_t
procs_read_parent(pid_t pid)
{
	char text[PROCS_STAT_MAX];
	const char *fields = NULL;
	int parent;
	int r = procs_read_fields(pid, text, &fields);

	if (r < 0)
		return r;
	return sscanf(fields, ") %*c %d", &parent) == 1 ? parent : -EBADMSG;
}

int
procs_walk(procs_visit_fn *visit, void *context)
{
	DIR CLEANUP_DIR *dir = NULL;
	struct procs_entry found;
	struct dirent *entry;
	int r = dir_open(proc_dir_fd(), ".", 0, &dir);

	while (r == 0 && (r = dir_next(dir, &entry)) == 0 && entry != NULL) {
		if (entry->d_name[0] < '1' || entry->d_name[0] > '9')
			continue;
		if (procs_read(dirfd(dir), entry->d_name, &found) && !visit(&found, context))
			break;
	}
	return r;
}

struct procs_search {
	pid_t group;
	bool is_found;
};

static bool
procs_visit_group(const struct procs_entry *entry, void *context)
{
	struct procs_search *search = context;

	search->is_found =
	    entry->group == search->group && entry->state != 'Z' && entry->state != 'X';
	return !search->is_found;
}

bool
procs_group_lives(pid_t group)
{
	struct procs_search search = { .group = group };

	return procs_walk(procs_visit_group, &search) < 0 || search.is_found;
}
