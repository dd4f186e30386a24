/*
 * find: which durable session a request means, for ATTACH and FORGET.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SESSION_DURABLE_FIND_H
#define SESSION_DURABLE_FIND_H

#include <stddef.h>
#include <stdint.h>

#include "protocol/attach_request.h"
#include "session/session.h"
#include "shared/journal.h"

/* Reads the LEN bytes of PAYLOAD of a frame of TYPE, ATTACH or FORGET, and opens the journal
 * of the session that it names. Returns 0; -ESRCH: there is none, which the host was not
 * told; or -EINVAL: the request is refused already. *RET is for attach_request_done() in each
 * case. */
int durable_find(struct session *session, uint8_t type, const uint8_t *payload, size_t len,
    struct attach_request *ret, struct journal *ret_journal);

#endif
