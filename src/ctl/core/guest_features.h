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

#define GUEST_FEATURES_QUIESCE "QUIESCE" /* and THAW */

/* Whether STATUS lists FEATURE. Returns 1 or 0 (0 also for an agent that has no STATUS),
 * or -errno with ERROR filled in, -EBUSY where it had no worker to spare. */
int guest_features_have(
    const struct client_target *target, const char *feature, struct client_error *error);

/* Checks that what is asked for in the name of USER is done with the rights of USER,
 * which takes FEATURE. Returns 0, also where USER is "", or -errno with ERROR filled in. */
int guest_features_check_user(const struct client_target *target, const char *user,
    const char *feature, struct client_error *error);

#endif
