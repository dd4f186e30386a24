/*
 * memory: what /proc says of the agent's processes. Failures end the program.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef BENCH_MEMORY_H
#define BENCH_MEMORY_H

#include <stddef.h>
#include <sys/types.h>

#define MEMORY_WORKERS_MAX 512

/* The number behind KEY in /proc/PID/FILE, in KiB. */
long memory_read(pid_t pid, const char *file, const char *key);

/* The same of /proc/meminfo: of the whole machine. */
long memory_read_machine(const char *key);

/* The children of the supervisor PID. Returns how many. */
size_t memory_find_workers(pid_t pid, pid_t *ret, size_t max);

/* PSS of the supervisor PID and all of its workers together, in KiB. */
long memory_sum_pss(pid_t pid);

#endif
