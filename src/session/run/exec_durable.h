/*
 * exec_durable: how a START becomes a durable session, or is refused.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SESSION_RUN_EXEC_DURABLE_H
#define SESSION_RUN_EXEC_DURABLE_H

#include <stdbool.h>

#include "protocol/start.h"
#include "session/durable/owner.h"
#include "session/session.h"

/* Claims the name and a journal for REQUEST. Returns true with *RET, which is
 * exec_durable_unclaim()'s or, once its program runs, owner_begin()'s; or false: the
 * session was refused. */
bool exec_durable_claim(
    struct session *session, const struct start_request *request, struct owner *ret);

/* The program could not be started: gives back what was claimed. */
void exec_durable_unclaim(struct owner *owner);

#endif
