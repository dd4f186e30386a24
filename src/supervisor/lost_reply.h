/*
 * lost_reply: the last words to the host of a session whose worker has died.
 *
 * The supervisor reads nothing from the connection and waits for nobody. It sends only
 * where the host is at a frame's boundary for sure, or where it is known how much of the
 * last frame is missing: in doubt it is silent. Then it shuts the connection down,
 * whatever the phase. The slot's contents are checked: a broken worker may have written
 * them.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SUPERVISOR_LOST_REPLY_H
#define SUPERVISOR_LOST_REPLY_H

#include "shared/scoreboard.h"

/* Takes the connection out of the queue of QUEUE_FD (see fdpass.h), if one is
 * there, says to its host that the worker was lost because of CAUSE, or sends the last
 * frame that the worker was about to send, as far as SLOT lets it, and shuts it down.
 * What stood before it in the queue is shut down too. Returns whether there was a
 * connection. */
bool lost_reply_send(int queue_fd, const struct slot *slot, const char *cause);

/* The frames that REPLY_STYLE asks for, in BYTES of SIZE. Returns their length; 0
 * where nothing may be said. Pure. */
size_t lost_reply_format(uint8_t reply_style, const char *cause, uint8_t *bytes, size_t size);

/* What SLOT's session is still to be told, in BYTES of SIZE. Returns the length; 0 where
 * nothing may be said. */
size_t lost_reply_compose(const struct slot *slot, const char *cause, uint8_t *bytes, size_t size);

#endif
