/*
 * guest_ahead: the buffer, and the two directions of the connection.
 *
 * SPDX-License-Identifier: MIT
 */
#include "ctl/core/guest_ahead.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/core/guest_file.h"
#include "protocol/frame.h"

void
guest_ahead_done(struct guest_ahead *ahead)
{
	client_close(&ahead->client);
	free(ahead->buffer);
	*ahead = (struct guest_ahead)GUEST_AHEAD_INIT;
}

int
guest_ahead_open(
    struct guest_ahead *ahead, const struct client_target *target, struct client_error *error)
{
	if (ahead->client.fd >= 0)
		return 0;
	ahead->is_deaf = false;
	ahead->put = ahead->answers = 0;
	return client_open(&ahead->client, target, VMM_GUEST_FILE_PORT, CLIENT_CONNECT_MS, error);
}

void
guest_ahead_close(struct guest_ahead *ahead)
{
	client_close(&ahead->client);
	ahead->head = ahead->len = 0;
}

uint8_t *
guest_ahead_room(struct guest_ahead *ahead, size_t len)
{
	uint8_t *grown;

	if (ahead->size - ahead->len >= len)
		return ahead->buffer + ahead->len;
	grown = realloc(ahead->buffer, ahead->len + len);
	if (grown == NULL)
		return NULL;
	ahead->buffer = grown;
	ahead->size = ahead->len + len;
	return grown + ahead->len;
}

void
guest_ahead_put(struct guest_ahead *ahead, uint8_t type, const void *payload, size_t len)
{
	uint8_t *frame = ahead->buffer + ahead->len;

	frame_header_format(frame, type, (uint32_t)len);
	if (len > 0 && payload != frame + VMM_GUEST_HEADER_LEN)
		memmove(frame + VMM_GUEST_HEADER_LEN, payload, len);
	client_trace_out(&ahead->client, frame, VMM_GUEST_HEADER_LEN + len);
	ahead->len += VMM_GUEST_HEADER_LEN + len;
	ahead->put += VMM_GUEST_HEADER_LEN + len;
}

int
guest_ahead_send(struct guest_ahead *ahead)
{
	while (guest_ahead_unsent(ahead) > 0 && !ahead->is_deaf) {
		ssize_t n = client_try_send(&ahead->client, ahead->client.fd,
		    ahead->buffer + ahead->head, guest_ahead_unsent(ahead));

		ahead->is_deaf = client_is_gone((int)n);
		if (n < 0 && !ahead->is_deaf)
			return (int)n;
		ahead->head += n > 0 ? (size_t)n : 0;
	}
	ahead->head = ahead->len = 0;
	return 0;
}

int
guest_ahead_wait(struct guest_ahead *ahead)
{
	int r =
	    client_wait(&ahead->client, guest_ahead_unsent(ahead) > 0 ? POLLIN | POLLOUT : POLLIN);

	return r < 0 ? r : 0;
}

int
guest_ahead_take(struct guest_ahead *ahead, struct client_piece *ret)
{
	int r;

	/* A text that is longer than any: its beginning says it. */
	do
		r = client_take(&ahead->client, ret);
	while (r == 0 && !ret->first);
	if (r == 0 && ret->type != VMM_GUEST_FILE_ACK && ret->type != VMM_GUEST_FILE_ERR)
		r = -EMSGSIZE;
	ahead->answers += r == 0;
	return r;
}

/* Sends what was put, and waits for the answer to it. */
static int
guest_ahead_exchange(struct guest_ahead *ahead, struct client_piece *ret)
{
	int r;

	/* An answer to nothing that was asked. */
	if (guest_ahead_take(ahead, ret) != -EAGAIN)
		return -EMSGSIZE;
	do {
		r = guest_ahead_send(ahead);
		if (r == 0 || r == -EAGAIN)
			r = guest_ahead_wait(ahead);
		if (r == 0)
			r = client_fill(&ahead->client);
		if (r == 0 || r == -EAGAIN)
			r = guest_ahead_take(ahead, ret);
	} while (r == -EAGAIN);
	return r;
}

int
guest_ahead_ask(struct guest_ahead *ahead, const struct client_target *target, uint8_t type,
    const struct file_request *request, struct client_error *error)
{
	struct client_piece piece;
	size_t len;
	char *json;
	bool is_over;
	int r = guest_file_format(type, request, &json, &len, error);

	if (r < 0)
		return r;
	do {
		r = guest_ahead_open(ahead, target, error);
		is_over = r < 0 || ahead->answers == 0;
		if (r == 0 && guest_ahead_room(ahead, VMM_GUEST_HEADER_LEN + len) == NULL) {
			client_fail(error, "out of memory");
			r = -ENOMEM;
		}
		if (r < 0)
			break;
		guest_ahead_put(ahead, type, json, len);
		r = guest_ahead_exchange(ahead, &piece);
		if (r < 0) {
			client_explain(&ahead->client, r, error);
			guest_ahead_close(ahead);
		}
		/* Between two requests the agent may have closed: it has not begun this one. */
	} while (!is_over && (r == -ENODATA || client_is_gone(r)));
	free(json);
	if (r == 0 && piece.type == VMM_GUEST_FILE_ERR)
		r = guest_file_refused_piece(request, &piece, error);
	return r;
}
