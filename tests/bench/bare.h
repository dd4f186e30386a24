/*
 * bare: a server that does nothing but what no server can do without: accept,
 * start the program on three pipes, wait for it, answer. It reads no request, checks
 * nobody, and is lost with the first thing that goes wrong. What an agent takes beyond
 * this is what its promises cost.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef BENCH_BARE_H
#define BENCH_BARE_H

#include <sys/types.h>

#include "target.h"

/* Starts WORKERS processes of it, which run ARGV[0] for each connection to the
 * socket in FOLDER, and makes TARGET stand for them. Their parent is returned, to be
 * given to bare_stop(). */
pid_t bare_start(
    struct target *target, const char *folder, const char *const *argv, unsigned workers);
void bare_stop(pid_t pid, struct target *target);

#endif
