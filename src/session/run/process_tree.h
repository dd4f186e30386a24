/*
 * process_tree: everything that one session started, as far as the kernel lets us name
 * it: its cgroup where there is one, else its process group.
 *
 * The main process is waited for with WNOWAIT and reaped last (process_tree_reap), so
 * that the number of the process group can't be used again while anything still signals it.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SESSION_RUN_PROCESS_TREE_H
#define SESSION_RUN_PROCESS_TREE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

#include "shared/scoreboard.h"

struct process_tree {
	pid_t pid;     /* of the main process, which leads the process group */
	int pid_fd;    /* pidfd of the main process, owned */
	int cgroup_fd; /* borrowed; -1: none */
	struct slot *slot;
};

/* How the main process ended. */
struct process_tree_end {
	bool signaled;
	int code;   /* exit status, if not SIGNALED */
	int signal; /* that killed it, if SIGNALED */
};

/* Sends SIGNAL to the process group. No error: a process that has gone needs no signal. */
void process_tree_signal(const struct process_tree *tree, int signal);

/* Sends the signal that KILL left in the slot for this session, if there is one;
 * SIGKILL goes to everything. Returns whether it was that. */
bool process_tree_obey_signal_request(const struct process_tree *tree);

/* Kills everything. In a cgroup a child that is being forked may be missed: it is
 * to be done again until process_tree_is_empty(). */
void process_tree_kill(const struct process_tree *tree);

/* Whether the main process has ended; it stays a zombie. *RET only if true. */
bool process_tree_has_ended(const struct process_tree *tree, struct process_tree_end *ret);

/* The same where the process that traces the main process hides its end: it can't
 * be reaped until that has gone. */
bool process_tree_has_ended_hidden(const struct process_tree *tree, struct process_tree_end *ret);

/* Whether nothing but zombies is left. Slow where there is no cgroup. */
bool process_tree_is_empty(const struct process_tree *tree);

/* Reaps the main process, which must have ended, and closes the pidfd; after
 * this nothing may be signalled any more. *RET_USAGE as of wait4(2). */
void process_tree_reap(struct process_tree *tree, struct rusage *ret_usage);

#endif
