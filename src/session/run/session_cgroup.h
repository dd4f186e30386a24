/*
 * session_cgroup: the cgroup that a session's program is born in, below one directory for
 * all sessions. A worker keeps its cgroup from session to session, unless a process is
 * left in it, something was set on it, or it is frozen; one that was killed is never
 * used again.
 *
 * A cgroup is named by the number of the session that it was made for, which the slot
 * shows before the cgroup is made: a worker that collects what was left behind leaves
 * alone what a slot or a detached program names.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SESSION_RUN_SESSION_CGROUP_H
#define SESSION_RUN_SESSION_CGROUP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>

#include "protocol/start.h"
#include "session/session.h"

/* Gets the cgroup for SESSION: a new one where IS_FRESH, else the kept one if there
 * is one. Returns 0 with a descriptor in *RET_FD, borrowed until the next call
 * in this worker; 0 with -1 where there are no cgroups; or -errno. */
int session_cgroup_enter(struct session *session, bool is_fresh, int *ret_fd);

/* Sets those of LIMITS that a cgroup can keep. Returns 0, or -errno
 * with the limit that could not be had in *RET_LIMIT. */
int session_cgroup_set_limits(
    int cgroup_fd, const struct start_limits *limits, enum start_limit *ret_limit);

/* How often the kernel killed in the cgroup for memory, since it was made. */
uint64_t session_cgroup_count_oom_kills(int cgroup_fd);

/* The session's program has ended, and had USAGE: what the next one has in the same cgroup is
 * counted from there on. Of processes that it did not wait for nothing is known. */
void session_cgroup_spend(struct session *session, const struct rusage *usage);

/* The session has ended: keeps the cgroup for the next one if that may be, else
 * leaves it to be collected. IS_USED_UP: limits were set on it by us, or it
 * was killed, or is a detached program's. */
void session_cgroup_leave(struct session *session, bool is_used_up);

#endif
