/*
 * procs: the processes of the guest, as /proc shows them. Slow; for the ends of
 * things alone.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PLATFORM_PROCS_H
#define PLATFORM_PROCS_H

#include <stdbool.h>
#include <sys/types.h>

/* What proc_pid_stat(5) says of one process. */
struct procs_entry {
	pid_t pid;
	char state; /* 'Z': a zombie */
	pid_t group;
	bool is_kernel_thread;
};

/* Called for each process; false ends the walk. */
typedef bool procs_visit_fn(const struct procs_entry *entry, void *context);

/* Walks over all processes. Returns 0, or -errno where there may be more of them. */
int procs_walk(procs_visit_fn *visit, void *context);

/* How the zombie PID ended, as a status of wait(2), though its parent can't wait for
 * it while another process traces it. Returns 0; -EBUSY if it has not ended;
 * -errno. */
int procs_read_status(pid_t pid, int *ret_status);

/* The state of the process or thread PID, as proc_pid_stat(5) has it: 'R', 'S', 'D', ...; '\0':
 * there is none. */
char procs_read_state(pid_t pid);

/* The parent of PID, or -errno: -ENOENT where there is no such process. */
pid_t procs_read_parent(pid_t pid);

/* Whether a process that is not a zombie is in the process group GROUP; true where /proc
 * can't tell. */
bool procs_group_lives(pid_t group);

#endif
