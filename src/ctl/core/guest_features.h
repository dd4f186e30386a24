/*
 * guest_features: what the agent can do. Members of a request that an agent does not
 * know it passes over: where that would lose what was asked for, it is asked first.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CTL_CORE_GUEST_FEATURES_H
#define CTL_CORE_GUEST_FEATURES_H

#include "ctl/core/client.h"

/* Agents that serve these also take "user", owner and time in what they belong to. */
#define GUEST_FEATURES_USER_IO "FILE_READ_REQ" /* in WRITE and READ */
#define GUEST_FEATURES_SET "FILE_SET_REQ"      /* in all of port 53 */

/* Agents that serve this take "durable" and "name" in START. */
#define GUEST_FEATURES_DURABLE "ATTACH"

#define GUEST_FEATURES_MORE "more" /* several requests of port 53 on one connection */

#define GUEST_FEATURES_HOLE "hole" /* holes in a WRITE */

#define GUEST_FEATURES_LINK "FILE_LINK_REQ"

#define GUEST_FEATURES_QUIESCE "QUIESCE" /* and THAW */

/* What else of STATUS counts for who asks for features. */
struct guest_limits {
	unsigned idle;		 /* workers that the agent has to spare */
	uint64_t max_file_bytes; /* the largest file that it takes; 0: it does not tell */
};

/* Which of the COUNT FEATURES STATUS lists: in *RET bit I stands for FEATURES[I]; none is set
 * for an agent that has no STATUS. RET_LIMITS may be NULL. Returns 0, or -errno with ERROR filled
 * in, -EBUSY where it had no worker for this. */
int guest_features_among(const struct client_target *target, const char *const *features,
    unsigned count, unsigned *ret, struct guest_limits *ret_limits, struct client_error *error);

/* Whether it lists FEATURE. Returns 1 or 0, or -errno as guest_features_among(). */
int guest_features_have(
    const struct client_target *target, const char *feature, struct client_error *error);

#define GUEST_FEATURES_TOO_OLD_FOR_USER "the agent is too old to do this with the rights of a user"

/* Checks that what is asked for in the name of USER is done with the rights of USER,
 * which takes FEATURE. Returns 0, also where USER is "", or -errno with ERROR filled in. */
int guest_features_check_user(const struct client_target *target, const char *user,
    const char *feature, struct client_error *error);

#endif
