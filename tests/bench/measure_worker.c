/*
 * measure_worker: what one more worker that waits costs the machine in all: its pages, and
 * what the kernel has to hold for it. Its floor is a process that was forked and does nothing.
 * The kernel's part are differences of /proc/meminfo, so that the machine should have nothing
 * else to do.
 *
 * SPDX-License-Identifier: MIT
 */
#include <err.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "measure.h"
#include "memory.h"
#include "report.h"
#include "sample.h"

#define WORKER_ROUNDS 7
#define WORKER_FEW 8
#define WORKER_MANY MEMORY_WORKERS_MAX
#define WORKER_LOOK_US 10000
#define WORKER_SETTLE_US 300000
#define WORKER_TARGET 192

/* All but the first, which is the PSS of all processes together, are the machine's. */
static const struct {
	const char *name;
	const char *key;
} worker_parts[] = {
	{ "its pages (PSS)", NULL },
	{ "page tables", "\nPageTables:" },
	{ "kernel stack", "\nKernelStack:" },
	{ "the kernel's objects (slab)", "\nSUnreclaim:" },
};

#define WORKER_PARTS (sizeof(worker_parts) / sizeof(worker_parts[0]))

/* With PID's processes at rest. */
static void
worker_read(pid_t pid, long *ret)
{
	(void)usleep(WORKER_SETTLE_US);
	for (size_t i = 0; i < WORKER_PARTS; i++)
		ret[i] = worker_parts[i].key != NULL ? memory_read_machine(worker_parts[i].key)
						     : memory_sum_pss(pid);
}

static void
worker_read_agent(const char *program, const char *folder, unsigned workers, long *ret)
{
	pid_t pids[MEMORY_WORKERS_MAX];
	struct target target;

	(void)target_start(&target, program, folder, workers);
	while (memory_find_workers(target.pid, pids, MEMORY_WORKERS_MAX) < workers)
		(void)usleep(WORKER_LOOK_US);
	worker_read(target.pid, ret);
	target_stop(&target);
}

static void
worker_read_forked(unsigned count, long *ret)
{
	pid_t pids[MEMORY_WORKERS_MAX];

	for (unsigned i = 0; i < count; i++) {
		pids[i] = fork();
		if (pids[i] < 0)
			err(1, "fork");
		if (pids[i] > 0)
			continue;
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			(void)pause();
	}
	worker_read(getpid(), ret);
	for (unsigned i = 0; i < count; i++) {
		(void)kill(pids[i], SIGKILL);
		(void)waitpid(pids[i], NULL, 0);
	}
}

/* Adds the KiB of each part for one process, and of all together behind them. */
static void
worker_add(const long *few, const long *many, struct sample *ret)
{
	double all = 0;

	for (size_t i = 0; i < WORKER_PARTS; i++) {
		double one = (double)(many[i] - few[i]) / (WORKER_MANY - WORKER_FEW);

		sample_add(&ret[i], one);
		all += one;
	}
	sample_add(&ret[WORKER_PARTS], all);
}

static void
worker_report(size_t part, const char *name, struct sample *agent, struct sample *floor)
{
	bool is_all = part == WORKER_PARTS;

	report_add((struct report_row){ name, "KiB", sample_percentile(&agent[part], 50),
	    sample_percentile(&floor[part], 50), is_all ? REPORT_VALUE_MAX : REPORT_NO_TARGET,
	    is_all ? WORKER_TARGET : 0 });
}

void
measure_worker(const char *program, const char *folder)
{
	static struct sample agent[WORKER_PARTS + 1];
	static struct sample floor[WORKER_PARTS + 1];
	size_t rounds = sample_few(WORKER_ROUNDS);
	long few[WORKER_PARTS];
	long many[WORKER_PARTS];
	char name[64];

	for (size_t i = 0; i < rounds; i++) {
		worker_read_agent(program, folder, WORKER_FEW, few);
		worker_read_agent(program, folder, WORKER_MANY, many);
		worker_add(few, many, agent);
		worker_read_forked(WORKER_FEW, few);
		worker_read_forked(WORKER_MANY, many);
		worker_add(few, many, floor);
	}
	worker_report(
	    WORKER_PARTS, "one more idle worker in all, floor: a bare fork", agent, floor);
	for (size_t i = 0; i < WORKER_PARTS; i++) {
		(void)snprintf(
		    name, sizeof(name), "one more idle worker, %s", worker_parts[i].name);
		worker_report(i, name, agent, floor);
	}
}
