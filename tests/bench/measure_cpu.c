/*
 * measure_cpu: what a session takes of the guest's processors, without the host's share.
 *
 * SPDX-License-Identifier: MIT
 */
#include <err.h>
#include <stdint.h>
#include <sys/resource.h>
#include <unistd.h>

#include "floor.h"
#include "measure.h"
#include "platform/fd.h"
#include "protocol/frame.h"
#include "report.h"
#include "sample.h"
#include "talk.h"
#include "terminal.h"

#define CPU_ROUNDS 7
#define CPU_RUNS 300
#define CPU_WORKERS 4
#define CPU_US_PER_S 1e6

#define CPU_TARGET 1.25
#define CPU_TERMINAL_TARGET 1.1

struct cpu_case {
	const char *program;
	const char *folder;
	void (*run)(const struct target *target); /* one session */
	size_t runs;
	double idle_us; /* an agent that starts, serves nobody and ends */
};

static double
cpu_used(int who)
{
	struct rusage usage;

	if (getrusage(who, &usage) < 0)
		err(1, "getrusage");
	return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * CPU_US_PER_S +
	       (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

static void
cpu_run_true(const struct target *target)
{
	int CLEANUP_FD fd = talk_start(target, "\"/bin/true\"", false);

	(void)talk_receive(fd, VMM_GUEST_STDOUT, VMM_GUEST_EXIT, 0);
}

static void
cpu_run_terminal(const struct target *target)
{
	terminal_run_agent(target, &terminal_zeros);
}

/* What an agent takes from its start to its end, with all that it had started, for RUNS
 * sessions of this process, which counts for itself. */
static double
cpu_run_agent_for(const struct cpu_case *cpu, size_t runs)
{
	double before = cpu_used(RUSAGE_CHILDREN);
	struct target target;

	(void)target_start(&target, cpu->program, cpu->folder, CPU_WORKERS);
	for (size_t i = 0; i < runs; i++)
		cpu->run(&target);
	target_stop(&target);
	return cpu_used(RUSAGE_CHILDREN) - before;
}

static double
cpu_run_agent(const void *argument)
{
	const struct cpu_case *cpu = argument;

	return (cpu_run_agent_for(cpu, cpu->runs) - cpu->idle_us) / (double)cpu->runs;
}

static double
cpu_run_idle(const void *argument)
{
	return cpu_run_agent_for(argument, 0);
}

/* The spawns of this process, and what it takes to make them. */
static double
cpu_run_floor(const void *ignored)
{
	static const char *const command[] = { "/bin/true", NULL };
	size_t runs = sample_few(CPU_RUNS);
	double before = cpu_used(RUSAGE_CHILDREN) + cpu_used(RUSAGE_SELF);

	(void)ignored;
	for (size_t i = 0; i < runs; i++)
		floor_wait(floor_spawn(command, -1, -1));
	return (cpu_used(RUSAGE_CHILDREN) + cpu_used(RUSAGE_SELF) - before) / (double)runs;
}

/* The program and the copier; this process, which receives it, is the host. */
static double
cpu_run_terminal_floor(const void *ignored)
{
	double before = cpu_used(RUSAGE_CHILDREN);

	(void)ignored;
	terminal_run_floor(&terminal_zeros);
	return cpu_used(RUSAGE_CHILDREN) - before;
}

void
measure_cpu(const char *program, const char *folder)
{
	static struct sample agent;
	static struct sample floor;
	struct cpu_case cpu = { program, folder, cpu_run_true, sample_few(CPU_RUNS), 0 };

	sample_alternate((struct sample_side){ cpu_run_idle, &cpu },
	    (struct sample_side){ cpu_run_floor, NULL }, CPU_ROUNDS, &agent, &floor);
	cpu.idle_us = sample_percentile(&agent, 50);
	sample_alternate((struct sample_side){ cpu_run_agent, &cpu },
	    (struct sample_side){ cpu_run_floor, NULL }, CPU_ROUNDS, &agent, &floor);
	report_add((struct report_row){ "CPU of a session of /bin/true, without its host's", "us",
	    sample_percentile(&agent, 50), sample_percentile(&floor, 50), REPORT_RATIO_MAX,
	    CPU_TARGET });
	cpu.run = cpu_run_terminal;
	cpu.runs = 1;
	sample_alternate((struct sample_side){ cpu_run_agent, &cpu },
	    (struct sample_side){ cpu_run_terminal_floor, NULL }, CPU_ROUNDS, &agent, &floor);
	report_add((struct report_row){ "the same of 16 MiB on a terminal", "us",
	    sample_percentile(&agent, 50), sample_percentile(&floor, 50), REPORT_RATIO_MAX,
	    CPU_TERMINAL_TARGET });
}
