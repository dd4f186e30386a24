/*
 * boot: what the agent makes of the guest as PID 1, or where it is told to
 * (--boot), before it serves. Each step can be done again without harm, logs
 * its own failure, and stops none of the others.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef BOOT_BOOT_H
#define BOOT_BOOT_H

#include <stdbool.h>
#include <stdint.h>

struct boot_settings {
	const char *hostname; /* of the operator; "": none */
	const char *dns;      /* see protocol/name_servers.h */
	bool wants_cgroups;
	bool logs_to_kernel;
	uint64_t journals_max; /* bytes that sessions may not have, as the agent keeps them */
	const char *kernel_ip; /* the value of ip=; "": none */
};

/* The steps that the configuration itself needs: file systems, the console,
 * proc_init(). Called once, before anything is read from /proc. */
void boot_begin(void);

/* All others; then, at level debug, a line for each step of either kind with the
 * time that it took. */
void boot_finish(const struct boot_settings *settings);

#endif
