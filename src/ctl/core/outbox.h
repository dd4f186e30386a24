/*
 * outbox: the one frame that is on its way to the agent, sent as far as the connection
 * takes it, without ever waiting.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CTL_CORE_OUTBOX_H
#define CTL_CORE_OUTBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ctl/core/client.h"

#define OUTBOX_PAYLOAD_MAX (64 * 1024)

/* Zero-initialised it is empty. */
struct outbox {
	size_t sent;
	size_t len; /* of the frame with its header; 0: there is none */
	uint8_t frame[VMM_GUEST_HEADER_LEN + OUTBOX_PAYLOAD_MAX];
};

static inline bool
outbox_is_empty(const struct outbox *outbox)
{
	return outbox->len == 0;
}

/* Where the payload of the next frame goes; the outbox is empty. */
static inline uint8_t *
outbox_payload(struct outbox *outbox)
{
	return outbox->frame + VMM_GUEST_HEADER_LEN;
}

/* Makes a frame of TYPE of the LEN bytes that are there. */
void outbox_put(struct outbox *outbox, const struct client *client, uint8_t type, size_t len);

/* Sends what can be sent now. Returns 0, or -errno of client_try_send(); that it would
 * have to wait is not an error. */
int outbox_send(struct outbox *outbox, struct client *client);

/* Drops what is in it. */
void outbox_clear(struct outbox *outbox);

#endif
