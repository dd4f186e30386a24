/*
 * measure_start: from exec to listening; and what an agent is before it has served
 * anybody: its memory, and its size.
 *
 * SPDX-License-Identifier: MIT
 */
#include <elf.h>
#include <err.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "floor.h"
#include "measure.h"
#include "memory.h"
#include "platform/clock.h"
#include "platform/fd.h"
#include "report.h"
#include "sample.h"

#define START_ROUNDS 9
#define START_FEW 16
#define START_MANY 64
#define START_LOOK_US 100

#define START_KIB 1024.0
#define START_SETTLE_US 200000

struct start_case {
	const char *program;
	const char *folder;
	unsigned workers;
};

static double
start_run_agent(const void *argument)
{
	const struct start_case *start = argument;
	struct target target;
	double us = target_start(&target, start->program, start->folder, start->workers);

	target_stop(&target);
	return us / 1e3;
}

/* The floor of starting: the same program, which says its version and ends. */
static double
start_run_floor(const void *argument)
{
	const struct start_case *start = argument;
	const char *const version[] = { start->program, "--version", NULL };
	uint64_t begin = clock_mono_us();
	int CLEANUP_FD null = open("/dev/null", O_RDWR | O_CLOEXEC);

	floor_wait(floor_spawn(version, null, null));
	return (double)(clock_mono_us() - begin) / 1e3;
}

static void
start_measure_time(const char *program, const char *folder, unsigned workers)
{
	static struct sample agent;
	static struct sample floor;
	struct start_case start = { program, folder, workers };
	char name[64];

	sample_alternate((struct sample_side){ start_run_agent, &start },
	    (struct sample_side){ start_run_floor, &start }, START_ROUNDS, &agent, &floor);
	(void)snprintf(
	    name, sizeof(name), "exec to ready, %u worker%s", workers, workers > 1 ? "s" : "");
	report_add((struct report_row){ name, "ms", sample_percentile(&agent, 50),
	    sample_percentile(&floor, 50),
	    workers == START_MANY ? REPORT_VALUE_MAX : REPORT_NO_TARGET, 5 });
}

/* Until the last worker is there: a host need not wait for it, but whoever sends as
 * many sessions at once does. */
static double
start_run_whole(const void *argument)
{
	const struct start_case *start = argument;
	pid_t workers[MEMORY_WORKERS_MAX];
	uint64_t begin = clock_mono_us();
	struct target target;
	uint64_t end;

	(void)target_start(&target, start->program, start->folder, start->workers);
	while (memory_find_workers(target.pid, workers, MEMORY_WORKERS_MAX) < start->workers)
		(void)usleep(START_LOOK_US);
	end = clock_mono_us();
	target_stop(&target);
	return (double)(end - begin) / 1e3;
}

static void
start_measure_whole(const char *program, const char *folder)
{
	static struct sample agent;
	static struct sample floor;
	struct start_case start = { program, folder, START_MANY };

	sample_alternate((struct sample_side){ start_run_whole, &start },
	    (struct sample_side){ start_run_floor, &start }, START_ROUNDS, &agent, &floor);
	report_add((struct report_row){ "exec to the last of 64 workers", "ms",
	    sample_percentile(&agent, 50), sample_percentile(&floor, 50), REPORT_NO_TARGET, 0 });
}

/* KiB of PSS of all processes, once the workers have come to rest. */
static double
start_measure_pss(const char *program, const char *folder, unsigned workers, long *ret_supervisor)
{
	struct target target;
	double sum;

	(void)target_start(&target, program, folder, workers);
	(void)usleep(START_SETTLE_US);
	sum = (double)memory_sum_pss(target.pid);
	*ret_supervisor = memory_read(target.pid, "smaps_rollup", "\nPss:");
	target_stop(&target);
	return sum;
}

/* KiB of the file that are loaded: what strip(1) leaves is this and a page. How much that may be
 * is held by .ci/run. */
static double
start_image_size(const char *program)
{
	int CLEANUP_FD fd = open(program, O_RDONLY | O_CLOEXEC);
	Elf64_Ehdr header;
	Elf64_Phdr part;
	uint64_t end = 0;

	if (fd < 0 || read(fd, &header, sizeof(header)) != (ssize_t)sizeof(header) ||
	    memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 || header.e_ident[EI_CLASS] != ELFCLASS64)
		errx(1, "%s is not a program of 64 bits", program);
	for (unsigned i = 0; i < header.e_phnum; i++) {
		off_t at = (off_t)(header.e_phoff + i * sizeof(part));

		if (pread(fd, &part, sizeof(part), at) != (ssize_t)sizeof(part))
			err(1, "%s", program);
		if (part.p_type == PT_LOAD && part.p_offset + part.p_filesz > end)
			end = part.p_offset + part.p_filesz;
	}
	return (double)end / START_KIB;
}

void
measure_start(const char *program, const char *folder)
{
	long supervisor;
	double few;
	double many;

	start_measure_time(program, folder, 1);
	start_measure_time(program, folder, START_FEW);
	start_measure_time(program, folder, START_MANY);
	start_measure_whole(program, folder);
	few = start_measure_pss(program, folder, START_FEW, &supervisor);
	many = start_measure_pss(program, folder, START_MANY, &supervisor);
	report_add((struct report_row){
	    "supervisor with 64 workers, PSS", "KiB", (double)supervisor, 0, REPORT_NO_TARGET, 0 });
	report_add((struct report_row){ "one more idle worker, PSS", "KiB",
	    (many - few) / (START_MANY - START_FEW), 0, REPORT_VALUE_MAX, 96 });
	report_add((struct report_row){
	    "the agent's image", "KiB", start_image_size(program), 0, REPORT_NO_TARGET, 0 });
}
