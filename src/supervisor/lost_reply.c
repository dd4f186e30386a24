/*
 * SPDX-License-Identifier: MIT
 */
#include "supervisor/lost_reply.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>

#include "platform/fd.h"
#include "platform/fdpass.h"
#include "platform/text.h"
#include "protocol/frame.h"

#define LOST_REPLY_MAX 256

/* The kernel may have no memory, or we no descriptor. */
#define LOST_REPLY_TAKE_TRIES 8

/* To the letter of the contract: hosts compare it. */
#define LOST_REPLY_FILE_ERR "EIO: worker lost"

/* What a host that was attached gets, and the shortest of the kind. */
#define LOST_REPLY_STATUS_MIN 20
#define LOST_REPLY_DETACHED "{\"event\":\"detached\",\"why\":\"worker lost\"}"

static size_t
lost_reply_add_frame(uint8_t *bytes, uint8_t type, const void *payload, size_t len)
{
	frame_header_format(bytes, type, (uint32_t)len);
	memcpy(bytes + VMM_GUEST_HEADER_LEN, payload, len);
	return VMM_GUEST_HEADER_LEN + len;
}

static size_t
lost_reply_add_exit(uint8_t *bytes, int32_t code)
{
	uint8_t payload[VMM_GUEST_EXIT_LEN];

	frame_exit_format(payload, (struct frame_exit){ .code = code });
	return lost_reply_add_frame(bytes, VMM_GUEST_EXIT, payload, sizeof(payload));
}

size_t
lost_reply_format(uint8_t reply_style, const char *cause, uint8_t *bytes, size_t size)
{
	const size_t frames_len = 2 * VMM_GUEST_HEADER_LEN + VMM_GUEST_EXIT_LEN + 1;
	char text[LOST_REPLY_MAX];
	size_t len;

	if (size < frames_len + sizeof(text))
		return 0;
	switch (reply_style) {
	case SLOT_REPLY_EXEC:
		len = text_format(text, sizeof(text) - 1, "worker lost: %s", cause);
		text[len++] = '\n';
		len = lost_reply_add_frame(bytes, VMM_GUEST_STDERR, text, len);
		return len + lost_reply_add_exit(bytes + len, VMM_GUEST_EXIT_AGENT);
	case SLOT_REPLY_ATTACH:
		return lost_reply_add_frame(
		    bytes, VMM_GUEST_STATUS, LOST_REPLY_DETACHED, strlen(LOST_REPLY_DETACHED));
	case SLOT_REPLY_CONTROL:
		return lost_reply_add_exit(bytes, VMM_GUEST_EXIT_CONTROL_FAILED);
	case SLOT_REPLY_UNKNOWN:
		return lost_reply_add_exit(bytes, VMM_GUEST_EXIT_AGENT);
	case SLOT_REPLY_FILE:
		return lost_reply_add_frame(
		    bytes, VMM_GUEST_FILE_ERR, LOST_REPLY_FILE_ERR, strlen(LOST_REPLY_FILE_ERR));
	default:
		return 0;
	}
}

/* Which frames may be the last, and how long their payload is; those that are longer
 * than a slot keeps are not among them. */
static bool
lost_reply_may_be_last(uint8_t reply_style, const struct frame_header *header)
{
	static const struct {
		uint8_t reply_style;
		uint8_t type;
		uint8_t min;
		uint8_t max;
	} lasts[] = {
		{ SLOT_REPLY_EXEC, VMM_GUEST_EXIT, VMM_GUEST_EXIT_LEN, VMM_GUEST_EXIT_LEN },
		{ SLOT_REPLY_EXEC, VMM_GUEST_STATUS, LOST_REPLY_STATUS_MIN, SLOT_LAST_MAX },
		{ SLOT_REPLY_ATTACH, VMM_GUEST_EXIT, VMM_GUEST_EXIT_LEN, VMM_GUEST_EXIT_LEN },
		{ SLOT_REPLY_ATTACH, VMM_GUEST_STATUS, LOST_REPLY_STATUS_MIN, SLOT_LAST_MAX },
		{ SLOT_REPLY_UNKNOWN, VMM_GUEST_EXIT, VMM_GUEST_EXIT_LEN, VMM_GUEST_EXIT_LEN },
		{ SLOT_REPLY_CONTROL, VMM_GUEST_EXIT, VMM_GUEST_EXIT_LEN, VMM_GUEST_EXIT_LEN },
		{ SLOT_REPLY_CONTROL, VMM_GUEST_EXIT, VMM_GUEST_NET_EXIT_LEN,
		    VMM_GUEST_NET_EXIT_LEN },
		{ SLOT_REPLY_FILE, VMM_GUEST_FILE_ACK, 0, 0 },
		{ SLOT_REPLY_FILE, VMM_GUEST_FILE_DONE, 0, 0 },
		{ SLOT_REPLY_FILE, VMM_GUEST_FILE_ERR, 1, SLOT_LAST_MAX },
		{ SLOT_REPLY_FILE, VMM_GUEST_FILE_LIST, 2, SLOT_LAST_MAX },
	};

	for (size_t i = 0; i < sizeof(lasts) / sizeof(lasts[0]); i++) {
		if (lasts[i].reply_style == reply_style && lasts[i].type == header->type &&
		    header->len >= lasts[i].min && header->len <= lasts[i].max)
			return true;
	}
	return false;
}

/* What is missing of the last frame that the worker was sending. */
static size_t
lost_reply_rest_of_last(const struct slot *slot, uint8_t *bytes)
{
	struct slot_last last = slot->last;
	struct frame_header header;

	if (last.len < VMM_GUEST_HEADER_LEN || last.len > SLOT_LAST_MAX || last.sent > last.len)
		return 0;
	if (frame_header_parse(last.bytes, &header) < 0 ||
	    VMM_GUEST_HEADER_LEN + header.len != last.len ||
	    !lost_reply_may_be_last(atomic_load(&slot->reply_style), &header))
		return 0;
	memcpy(bytes, last.bytes + last.sent, (size_t)last.len - last.sent);
	return (size_t)last.len - last.sent;
}

/* The answers that the worker had held back: of requests before the one under way. */
static size_t
lost_reply_add_held(const struct slot *slot, uint8_t *bytes)
{
	uint8_t count = atomic_load(&slot->held);

	if (atomic_load(&slot->reply_style) != SLOT_REPLY_FILE || count > SLOT_HELD_MAX)
		return 0;
	return slot_format_held(count, bytes);
}

size_t
lost_reply_compose(const struct slot *slot, const char *cause, uint8_t *bytes, size_t size)
{
	uint8_t phase = atomic_load(&slot->phase);
	uint8_t reply_style = atomic_load(&slot->reply_style);
	size_t len;

	if (atomic_load(&slot->in_frame) != 0 || size < SLOT_LAST_MAX + SLOT_HELD_LEN)
		return 0;
	/* A worker that dies between putting the connection there and saying so has
	 * read nothing yet: the phase is older than the queue. */
	if (phase <= SLOT_OPEN) {
		len = lost_reply_add_held(slot, bytes);
		return len + lost_reply_format(reply_style, cause, bytes + len, size - len);
	}
	if (phase != SLOT_LAST_SENDING)
		return 0;
	/* An answer that was too long to be kept has gone whole, and is followed by an error
	 * that no host reads any more; or it has not gone, and the host must be told. */
	if (slot->last.len == 0 && reply_style == SLOT_REPLY_FILE)
		return lost_reply_format(reply_style, cause, bytes, size);
	return lost_reply_rest_of_last(slot, bytes);
}

/* Empties the queue. The last descriptor is the session's connection. Those before it the
 * worker could not drop; their hosts have had their last frame. */
static int
lost_reply_take(int queue_fd)
{
	int CLEANUP_FD conn_fd = -1;
	int failures = 0;

	while (failures < LOST_REPLY_TAKE_TRIES) {
		int fd = -1;
		int r = fdpass_take(queue_fd, &fd, NULL, 0);

		if (r == -EAGAIN)
			break;
		if (r < 0) {
			failures++;
			continue;
		}
		if (conn_fd >= 0)
			(void)shutdown(conn_fd, SHUT_RDWR);
		fd_close(&conn_fd);
		conn_fd = fd;
	}
	return fd_steal(&conn_fd);
}

bool
lost_reply_send(int queue_fd, const struct slot *slot, const char *cause)
{
	uint8_t bytes[2 * LOST_REPLY_MAX];
	int CLEANUP_FD conn_fd = lost_reply_take(queue_fd);
	size_t len;

	if (conn_fd < 0)
		return false;
	len = lost_reply_compose(slot, cause, bytes, sizeof(bytes));
	if (len > 0)
		(void)send(conn_fd, bytes, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	(void)shutdown(conn_fd, SHUT_RDWR);
	return true;
}
