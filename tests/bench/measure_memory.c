/*
 * measure_memory: what the agent's processes hold, as /proc says it.
 *
 * SPDX-License-Identifier: MIT
 */
#include <err.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "measure.h"
#include "memory.h"
#include "platform/fd.h"
#include "report.h"

#define MEMORY_TEXT_MAX 8192

static long
memory_read_file(const char *path, const char *key)
{
	char text[MEMORY_TEXT_MAX];
	const char *line;

	if (fd_read_file(AT_FDCWD, path, text, sizeof(text)) < 0)
		errx(1, "can't read %s", path);
	line = strstr(text, key);
	if (line == NULL)
		errx(1, "no %s in %s", key, path);
	return strtol(line + strlen(key), NULL, 10);
}

long
memory_read(pid_t pid, const char *file, const char *key)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, file);
	return memory_read_file(path, key);
}

long
memory_read_machine(const char *key)
{
	return memory_read_file("/proc/meminfo", key);
}

size_t
memory_find_workers(pid_t pid, pid_t *ret, size_t max)
{
	char text[MEMORY_TEXT_MAX];
	char path[64];
	char *next = text;
	size_t count = 0;

	(void)snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)pid, (int)pid);
	if (fd_read_file(AT_FDCWD, path, text, sizeof(text)) < 0)
		errx(1, "can't read %s", path);
	while (count < max) {
		char *end;
		long worker = strtol(next, &end, 10);

		if (end == next)
			break;
		ret[count++] = (pid_t)worker;
		next = end;
	}
	return count;
}

long
memory_sum_pss(pid_t pid)
{
	pid_t workers[MEMORY_WORKERS_MAX];
	size_t count = memory_find_workers(pid, workers, MEMORY_WORKERS_MAX);
	long sum = memory_read(pid, "smaps_rollup", "\nPss:");

	for (size_t i = 0; i < count; i++)
		sum += memory_read(workers[i], "smaps_rollup", "\nPss:");
	return sum;
}

/* The most that any worker's line KEY of /proc/PID/FILE says. */
static double
memory_find_most(const struct target *target, const char *file, const char *key)
{
	pid_t workers[MEMORY_WORKERS_MAX];
	size_t count = memory_find_workers(target->pid, workers, MEMORY_WORKERS_MAX);
	long most = 0;

	for (size_t i = 0; i < count; i++) {
		long value = memory_read(workers[i], file, key);

		if (value > most)
			most = value;
	}
	return (double)most;
}

/* Its own is what would be free without it. RSS has besides, as often as there are processes, the
 * libraries' pages that the kernel has cached and the memory that all of the agent shares. At its
 * peak a worker may hold 1 MiB more: input that a program was slow to take. */
void
measure_memory(const struct target *target)
{
	report_add((struct report_row){ "largest worker after all of that, PSS", "KiB",
	    memory_find_most(target, "smaps_rollup", "\nPss:"), 0, REPORT_VALUE_MAX, 512 });
	report_add((struct report_row){ "largest worker after all of that, RSS", "KiB",
	    memory_find_most(target, "status", "VmRSS:"), 0, REPORT_NO_TARGET, 0 });
	report_add((struct report_row){ "largest worker at its peak, RSS", "KiB",
	    memory_find_most(target, "status", "VmHWM:"), 0, REPORT_NO_TARGET, 0 });
}
