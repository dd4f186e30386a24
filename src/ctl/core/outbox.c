/*
 * SPDX-License-Identifier: MIT
 */
#include "ctl/core/outbox.h"

#include <errno.h>

#include "protocol/frame.h"

void
outbox_put(struct outbox *outbox, const struct client *client, uint8_t type, size_t len)
{
	frame_header_format(outbox->frame, type, (uint32_t)len);
	outbox->sent = 0;
	outbox->len = VMM_GUEST_HEADER_LEN + len;
	client_trace_out(client, outbox->frame, outbox->len);
}

int
outbox_send(struct outbox *outbox, struct client *client)
{
	ssize_t n = client_try_send(
	    client, client->fd, outbox->frame + outbox->sent, outbox->len - outbox->sent);

	if (n < 0)
		return n == -EAGAIN ? 0 : (int)n;
	outbox->sent += (size_t)n;
	if (outbox->sent == outbox->len)
		outbox_clear(outbox);
	return 0;
}

void
outbox_clear(struct outbox *outbox)
{
	outbox->len = 0;
}
