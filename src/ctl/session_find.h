/*
 * session_find: a session of the agent's STATUS, by the name or number that a person gave.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CTL_SESSION_FIND_H
#define CTL_SESSION_FIND_H

#include "ctl/session_id.h"
#include "protocol/status.h"

/* Whether the agent knows durable sessions, which is complained about if it does not. Returns
 * the exit status, 0 if it does. */
int session_find_check(const struct status *status);

/* The durable session of STATUS that WHICH means; NULL: there is none. */
const struct status_slot *session_find_durable(
    const struct status *status, const struct session_id *which);

/* Where the output ends that is there now of WHICH, which runs; 0 where the agent does not say:
 * nothing is complained about. */
uint64_t session_find_end(const struct session_id *which);

/* The number of the session called NAME: a durable one, or the one other that has it. Asks
 * the agent. Returns the exit status, after a complaint where it is not 0. */
int session_find_number(const char *name, uint64_t *ret);

#endif
