/*
 * measure: the groups of figures, one file each. Each adds its rows to the report.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef BENCH_MEASURE_H
#define BENCH_MEASURE_H

#include "target.h"

/* Programs: latency of one, alone and beside others; sessions a second; the round
 * trip of a control request. FOLDER: for a socket. */
void measure_sessions(const struct target *target, const char *folder);

/* A program run through libvmmguest. */
void measure_library(const struct target *target);

/* Bytes of standard output and input, of both at once, and of a terminal. */
void measure_streams(const struct target *target);

/* Output of a durable session, also before spectators, and ATTACH. */
void measure_durable(const struct target *target);

/* Files of port 53, in FOLDER, which should be a tmpfs. */
void measure_files(const struct target *target, const char *folder);

/* A tree of small files, in FOLDER, copied by the program CLIENT. */
void measure_trees(const struct target *target, const char *client, const char *folder);

/* STATUS beside many connections that say nothing. */
void measure_silent(const struct target *target);

/* What the agent holds in memory: its processes are looked at, and it must be ours. */
void measure_memory(const struct target *target);

/* The time from exec to listening, the memory of one more worker, and the size
 * of the program: it is started in FOLDER again and again. */
void measure_start(const char *program, const char *folder);

/* What one more worker costs, with what the kernel holds for it. */
void measure_worker(const char *program, const char *folder);

/* What a session takes of the processors, without its host's part. */
void measure_cpu(const char *program, const char *folder);

#endif
