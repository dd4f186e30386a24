/*
 * measure_worker: what one more worker that waits costs the machine in all: its pages, and
 * what the kernel has to hold for it. They are differences of /proc/meminfo, so that the
 * machine should have nothing else to do.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdio.h>
#include <unistd.h>

#include "measure.h"
#include "memory.h"
#include "report.h"
#include "sample.h"

#define WORKER_ROUNDS 7
#define WORKER_FEW 16
#define WORKER_MANY 256
#define WORKER_LOOK_US 10000
#define WORKER_SETTLE_US 300000
#define WORKER_TARGET 192

static const struct {
	const char *name;
	const char *key;
} worker_parts[] = {
	{ "its own pages", "\nAnonPages:" },
	{ "shared memory", "\nShmem:" },
	{ "page tables", "\nPageTables:" },
	{ "kernel stack", "\nKernelStack:" },
	{ "the kernel's objects (slab)", "\nSUnreclaim:" },
};

#define WORKER_PARTS (sizeof(worker_parts) / sizeof(worker_parts[0]))

static void
worker_look(const char *program, const char *folder, unsigned workers, long *ret)
{
	pid_t pids[MEMORY_WORKERS_MAX];
	struct target target;

	(void)target_start(&target, program, folder, workers);
	while (memory_find_workers(target.pid, pids, MEMORY_WORKERS_MAX) < workers)
		(void)usleep(WORKER_LOOK_US);
	(void)usleep(WORKER_SETTLE_US);
	for (size_t i = 0; i < WORKER_PARTS; i++)
		ret[i] = memory_read_machine(worker_parts[i].key);
	target_stop(&target);
}

/* KiB of each part, and of all together behind them. */
static void
worker_measure_once(const char *program, const char *folder, struct sample *ret)
{
	long few[WORKER_PARTS];
	long many[WORKER_PARTS];
	double all = 0;

	worker_look(program, folder, WORKER_FEW, few);
	worker_look(program, folder, WORKER_MANY, many);
	for (size_t i = 0; i < WORKER_PARTS; i++) {
		double one = (double)(many[i] - few[i]) / (WORKER_MANY - WORKER_FEW);

		sample_add(&ret[i], one);
		all += one;
	}
	sample_add(&ret[WORKER_PARTS], all);
}

void
measure_worker(const char *program, const char *folder)
{
	static struct sample parts[WORKER_PARTS + 1];
	size_t rounds = sample_few(WORKER_ROUNDS);
	char name[64];

	for (size_t i = 0; i < rounds; i++)
		worker_measure_once(program, folder, parts);
	report_add(
	    (struct report_row){ "one more idle worker in all, with the kernel's part", "KiB",
		sample_percentile(&parts[WORKER_PARTS], 50), 0, REPORT_VALUE_MAX, WORKER_TARGET });
	for (size_t i = 0; i < WORKER_PARTS; i++) {
		(void)snprintf(
		    name, sizeof(name), "one more idle worker, %s", worker_parts[i].name);
		report_add((struct report_row){
		    name, "KiB", sample_percentile(&parts[i], 50), 0, REPORT_NO_TARGET, 0 });
	}
}
