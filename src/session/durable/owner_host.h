/*
 * owner_host: what the two parts of owner know of each other; for them alone.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SESSION_DURABLE_OWNER_HOST_H
#define SESSION_DURABLE_OWNER_HOST_H

#include "session/durable/owner.h"

/* Looks which hosts are attached, and which of them holds the input. */
void owner_look_who_is_there(struct owner *owner);

/* Sends LEN bytes that were appended and stand in the connection's buffer. */
void owner_push_direct(struct owner *owner, bool is_stderr, size_t len);

#endif
