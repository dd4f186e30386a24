/*
 * host: the agent that is soaked, from outside: started, looked at, ended.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SOAK_HOST_H
#define SOAK_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define HOST_WORKERS_MAX 64

struct host {
	pid_t pid; /* the supervisor's */
	unsigned workers;
	char socket[256];
	char log[256];
};

/* What an agent that does nothing holds. */
struct host_state {
	unsigned processes;	 /* below the supervisor, workers too */
	unsigned descriptors;	 /* of the supervisor */
	unsigned worker_fds;	 /* the most that a worker has */
	unsigned long memory_kb; /* PSS of all */
};

/* Starts PROGRAM with so many WORKERS, its socket and log in FOLDER, and waits until it
 * serves. Ends the process with a message where it does not. */
void host_start(struct host *host, const char *program, const char *folder, unsigned workers);

/* Whether the supervisor is there. */
bool host_is_alive(const struct host *host);

/* Ends it by SIGTERM. Returns its status of waitpid(2), or -1 where it does not end; it
 * is killed then. */
int host_stop(struct host *host);

/* The workers: PIDS by slot, 0 where there is none at the moment. */
void host_find_workers(const struct host *host, pid_t pids[HOST_WORKERS_MAX]);

/* Replaces all workers, and waits until they are there and nothing else is: what sessions
 * leave may take some seconds. Returns whether it came to that; *RET is how it is. */
bool host_settle(const struct host *host, struct host_state *ret);

/* What the log says of workers that died. */
struct host_deaths {
	unsigned killed;	 /* they are of those that were killed */
	unsigned strange;	 /* they are not */
	unsigned long waited_ms; /* in all, for which their successors had to wait */
};

/* Adds that up; KILLED are the COUNT workers that were sent a deadly signal. */
void host_read_log(
    const struct host *host, const pid_t *killed, unsigned count, struct host_deaths *ret);

#endif
