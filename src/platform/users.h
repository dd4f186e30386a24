/*
 * users: the user that a session runs as, from the guest's /etc/passwd and /etc/group.
 * They are read without NSS, whose modules would be the guest's code in our process.
 * Sources: passwd(5), group(5), fgetpwent_r(3).
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PLATFORM_USERS_H
#define PLATFORM_USERS_H

#include <limits.h>
#include <stddef.h>
#include <sys/types.h>

#define USERS_NAME_MAX 256
#define USERS_GROUPS_MAX 1024

struct run_as {
	uid_t uid;
	gid_t gid;
	size_t groups_count; /* supplementary groups, GID not among them */
	gid_t groups[USERS_GROUPS_MAX];
	char name[USERS_NAME_MAX]; /* the uid in digits where there is no passwd line */
	char home[PATH_MAX];	   /* "/" where there is no passwd line */
	char shell[PATH_MAX];	   /* "/bin/sh" where there is none */
};

/* Where the two files are; "/etc" but for tests. */
#define USERS_DIRECTORY "/etc"

/* Finds the user of SPEC: name or uid, with ":group" or ":gid" behind it or not,
 * as Docker's --user takes it. With a group given there are no supplementary
 * groups. A uid with no passwd line has gid 0 unless one is given. Returns 0,
 * or -errno with a static text of what is wrong in *RET_PROBLEM: -EINVAL for a
 * malformed SPEC or an id of -1 in the user's line, -ESRCH for a user or group
 * that does not exist, or an error of reading DIRECTORY's files. */
int users_lookup(
    const char *directory, const char *spec, struct run_as *ret, const char **ret_problem);

#endif
