/*
 * client_io: bytes and frames of a connection to the agent.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "ctl/core/client.h"
#include "platform/clock.h"
#include "platform/io_error.h"

/* Once memory was short, pieces stay small for this time. */
#define CLIENT_SHORT_MS 1000

bool
client_is_gone(int r)
{
	return r < 0 && io_error_read(IO_CONNECTION, -r) == IO_GONE;
}

/* What a call on a socket returned, N, comes to. */
static ssize_t
client_result(struct client *client, ssize_t n)
{
	int error = errno;

	if (n >= 0) {
		client->lack.since_ms = 0;
		if (client->quiet_ms != 0 && n > 0)
			client->quiet_ms = clock_mono_ms();
		return n;
	}
	switch (io_error_read(IO_CONNECTION, error)) {
	case IO_AGAIN:
	case IO_NOT_NOW:
		return -EAGAIN;
	case IO_NO_MEMORY:
		client->short_until_ms = clock_mono_ms() + CLIENT_SHORT_MS;
		if (io_lack_bear(&client->lack))
			return -EAGAIN;
		break;
	case IO_GONE:
	case IO_BROKEN:
		break;
	}
	return -error;
}

static size_t
client_piece_len(struct client *client, size_t len)
{
	if (len <= IO_NO_MEMORY_LEN || client->short_until_ms == 0)
		return len;
	if (clock_mono_ms() < client->short_until_ms)
		return IO_NO_MEMORY_LEN;
	client->short_until_ms = 0;
	return len;
}

ssize_t
client_try_send(struct client *client, int fd, const void *data, size_t len)
{
	return client_result(client, send(fd, data, client_piece_len(client, len), MSG_NOSIGNAL));
}

ssize_t
client_try_recv(struct client *client, int fd, void *data, size_t len)
{
	return client_result(client, recv(fd, data, len, 0));
}

static void
client_trace(const struct client *client, const struct client_frame *frame)
{
	if (client->target->trace != NULL)
		client->target->trace(frame);
}

void
client_trace_out(const struct client *client, const uint8_t *bytes, size_t len)
{
	const struct client_frame frame = { .is_out = true,
		.type = bytes[0],
		.len = len - VMM_GUEST_HEADER_LEN,
		.data = bytes + VMM_GUEST_HEADER_LEN,
		.data_len = len - VMM_GUEST_HEADER_LEN };

	client_trace(client, &frame);
}

/* Has the frame traced whose PIECE, the first one, is given out. */
static void
client_trace_in(const struct client *client, const struct client_piece *piece)
{
	const struct client_frame frame = {
		.type = piece->type,
		.len = client->frame.len,
		.data = piece->data,
		.data_len = piece->len,
	};

	client_trace(client, &frame);
}

/* Sends what is in front, and then the rest, neither of which is NULL. */
static int
client_send_two(
    struct client *client, const void *front, size_t front_len, const void *rest, size_t rest_len)
{
	size_t sent = 0;

	while (sent < front_len + rest_len) {
		size_t front_sent = sent < front_len ? sent : front_len;
		size_t rest_sent = sent - front_sent;
		struct iovec parts[2] = {
			{ (uint8_t *)(uintptr_t)front + front_sent, front_len - front_sent },
			{ (uint8_t *)(uintptr_t)rest + rest_sent,
			    client_piece_len(client, rest_len - rest_sent) },
		};
		struct msghdr message = { .msg_iov = parts, .msg_iovlen = 2 };
		ssize_t n = client_result(client, sendmsg(client->fd, &message, MSG_NOSIGNAL));
		int r = n == -EAGAIN ? client_wait(client, POLLOUT) : (int)(n < 0 ? n : 0);

		if (r < 0)
			return r;
		sent += n > 0 ? (size_t)n : 0;
	}
	return 0;
}

int
client_send_bytes(struct client *client, const void *data, size_t len)
{
	return client_send_two(client, data, len, data, 0);
}

int
client_send(struct client *client, uint8_t type, const void *payload, size_t len)
{
	const struct client_frame frame = {
		.is_out = true, .type = type, .len = len, .data = payload, .data_len = len
	};
	uint8_t header[VMM_GUEST_HEADER_LEN];

	client_trace(client, &frame);
	frame_header_format(header, type, (uint32_t)len);
	return client_send_two(client, header, sizeof(header), len > 0 ? payload : header, len);
}

int
client_fill(struct client *client)
{
	uint8_t *place;
	size_t room = frame_reader_room(&client->reader, &place);
	ssize_t n = client_try_recv(client, client->fd, place, room);

	/* unix(7): an agent that closes before it has read all of what we sent resets the
	 * connection. It has closed, no more and no less. */
	if (n == -ECONNRESET)
		n = 0;
	if (n < 0)
		return (int)n;
	frame_reader_received(&client->reader, (size_t)n);
	client->quiet_ms = 0;
	return n == 0 ? -ENODATA : 0;
}

/* Whether there is a piece of the frame: all of it, unless it is too large for that. */
static bool
client_has_piece(const struct client *client)
{
	const uint8_t *ignored;

	if (client->frame.len <= CLIENT_WHOLE_MAX)
		return frame_reader_missing(&client->reader) == 0;
	return frame_reader_peek(&client->reader, &ignored) > 0;
}

int
client_take(struct client *client, struct client_piece *ret)
{
	struct frame_reader *reader = &client->reader;
	int r = reader->payload_left > 0 ? 0 : frame_reader_next(reader, &client->frame);

	if (r < 0)
		return r;
	if (!client_has_piece(client))
		return -EAGAIN;
	*ret = (struct client_piece){ .type = client->frame.type,
		.first = reader->payload_left == client->frame.len };
	ret->len = frame_reader_take(reader, SIZE_MAX, &ret->data);
	ret->last = reader->payload_left == 0;
	if (ret->first)
		client_trace_in(client, ret);
	return 0;
}

int
client_receive(struct client *client, struct client_piece *ret)
{
	int r;

	while ((r = client_take(client, ret)) == -EAGAIN) {
		r = client_wait(client, POLLIN);
		if (r < 0)
			return r;
		r = client_fill(client);
		if (r < 0 && r != -EAGAIN)
			return r;
	}
	return r;
}

int
client_receive_whole(struct client *client, uint8_t *ret_type, char **ret_text, size_t *ret_len)
{
	struct client_piece piece;
	char *text = NULL;
	size_t len = 0;
	int r;

	do {
		char *grown = NULL;

		r = client_receive(client, &piece);
		if (r == 0)
			grown = realloc(text, len + piece.len + 1);
		if (r == 0 && grown == NULL)
			r = -ENOMEM;
		if (r < 0) {
			free(text);
			return r;
		}
		text = grown;
		memcpy(text + len, piece.data, piece.len);
		len += piece.len;
		text[len] = '\0';
	} while (!piece.last);
	*ret_type = piece.type;
	*ret_text = text;
	*ret_len = len;
	return 0;
}
