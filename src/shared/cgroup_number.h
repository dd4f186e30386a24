/*
 * cgroup_number: the cgroup of a session, by its number: what the supervisor, and a worker
 * whose session it is not, need of it. How a session gets one and leaves it is
 * the session's own affair.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SHARED_CGROUP_NUMBER_H
#define SHARED_CGROUP_NUMBER_H

#include <stdint.h>

/* Room for the name of the directory and its NUL. */
#define CGROUP_NUMBER_NAME_MAX 24

/* Writes the name of the directory of the session NUMBER to RET. */
void cgroup_number_name(uint64_t number, char ret[CGROUP_NUMBER_NAME_MAX]);

/* Opens the cgroup of the session NUMBER below SESSION_CGROUPS_FD. Returns a descriptor, or -errno:
 * -ENOENT where it has been collected. */
int cgroup_number_open(int session_cgroups_fd, uint64_t number);

/* Removes the cgroup of the session NUMBER below SESSION_CGROUPS_FD, if nobody is in it. */
void cgroup_number_remove(int session_cgroups_fd, uint64_t number);

#endif
