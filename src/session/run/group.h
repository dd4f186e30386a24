/*
 * group: everything that one session started, as far as the kernel lets us name
 * it: its cgroup where there is one, else its process group.
 *
 * The main process is waited for with WNOWAIT and reaped last (group_reap), so
 * that the group's number can't be used again while anything still signals it.
 */
#ifndef SESSION_RUN_GROUP_H
#define SESSION_RUN_GROUP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

#include "shared/scoreboard.h"

struct group {
	pid_t pid;     /* of the main process, which leads the process group */
	int pid_fd;    /* pidfd of the main process, owned */
	int cgroup_fd; /* borrowed; -1: none */
	struct slot *slot;
};

/* How the main process ended. */
struct group_end {
	bool signaled;
	int code;   /* exit status, if not SIGNALED */
	int signal; /* that killed it, if SIGNALED */
};

/* Sends SIGNAL to the process group. No error: who is gone needs none. */
void group_signal(const struct group *group, int signal);

/* Sends the signal that KILL left in the slot for this session, if there is one;
 * SIGKILL goes to everything. Returns whether it was that. */
bool group_obey_signal_request(const struct group *group);

/* Kills everything. In a cgroup a child that is being forked may be missed: it is
 * to be done again until group_is_empty(). */
void group_kill(const struct group *group);

/* Whether the main process has ended; it stays a zombie. *RET only if true. */
bool group_has_ended(const struct group *group, struct group_end *ret);

/* The same where the process that traces the main process hides its end: it can't
 * be reaped until that has gone. */
bool group_has_ended_hidden(const struct group *group, struct group_end *ret);

/* Whether nothing but zombies is left. Slow where there is no cgroup. */
bool group_is_empty(const struct group *group);

/* Reaps the main process, which must have ended, and closes the pidfd; after
 * this nothing may be signalled any more. *RET_USAGE as of wait4(2). */
void group_reap(struct group *group, struct rusage *ret_usage);

#endif
