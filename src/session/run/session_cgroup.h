/*
 * session_cgroup: the cgroup that a session's program is born in, below one directory for
 * all sessions. A worker keeps its cell from session to session as long as
 * nobody is left in it and nothing was set on it, nor is it frozen; one that was killed is never
 * used again.
 *
 * A cell is named by the number of the session that it was made for, which the
 * slot shows before the cell is made: whoever collects those that were left
 * behind leaves alone what a slot or a detached program names.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SESSION_RUN_SESSION_CGROUP_H
#define SESSION_RUN_SESSION_CGROUP_H

#include <stdbool.h>
#include <stdint.h>

#include "protocol/start.h"
#include "session/session.h"

/* Gets the cell for SESSION: a new one where IS_FRESH, else the kept one if there
 * is one. Returns 0 with a descriptor in *RET_FD, borrowed until the next call
 * in this worker; 0 with -1 where there are no cgroups; or -errno. */
int session_cgroup_enter(struct session *session, bool is_fresh, int *ret_fd);

/* Sets those of LIMITS that a cgroup can keep on the cell. Returns 0, or -errno
 * with the limit that could not be had in *RET_LIMIT. */
int session_cgroup_set_limits(
    int cgroup_fd, const struct start_limits *limits, enum start_limit *ret_limit);

/* How often the kernel killed in the cell for memory, since it was made. */
uint64_t session_cgroup_count_oom_kills(int cgroup_fd);

/* The session has ended: keeps the cell for the next one if that may be, else
 * leaves it to be collected. IS_USED_UP: limits were set on it by us, or it
 * was killed, or is a detached program's. */
void session_cgroup_leave(struct session *session, bool is_used_up);

#endif
