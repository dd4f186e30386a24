/*
 * SPDX-License-Identifier: MIT
 */
#include "protocol/frame_reader.h"

#include <errno.h>
#include <string.h>

/* A header is placed where its payload comes to an aligned address: a kernel copy to or
 * from one that is off by the header's 5 bytes takes far longer. */
#define FRAME_READER_HEADER_OFFSET (FRAME_READER_PAYLOAD_OFFSET - VMM_GUEST_HEADER_LEN)

size_t
frame_reader_room(struct frame_reader *reader, uint8_t **ret)
{
	size_t front = reader->payload_left > 0 ? 0 : FRAME_READER_HEADER_OFFSET;
	size_t len = reader->tail - reader->head;

	if (len == 0 || reader->head > front) {
		memmove(reader->buffer + front, reader->buffer + reader->head, len);
		reader->head = front;
		reader->tail = front + len;
	}
	*ret = reader->buffer + reader->tail;
	return reader->size - reader->tail;
}

int
frame_reader_look(const struct frame_reader *reader, struct frame_header *ret)
{
	if (reader->tail - reader->head < VMM_GUEST_HEADER_LEN)
		return -EAGAIN;
	return frame_header_parse(reader->buffer + reader->head, ret);
}

int
frame_reader_next(struct frame_reader *reader, struct frame_header *ret)
{
	int r = frame_reader_look(reader, ret);

	if (r < 0)
		return r;
	reader->head += VMM_GUEST_HEADER_LEN;
	reader->payload_left = ret->len;
	return 0;
}

size_t
frame_reader_take(struct frame_reader *reader, size_t max, const uint8_t **ret)
{
	size_t len = frame_reader_peek(reader, ret);

	if (len > reader->payload_left)
		len = reader->payload_left;
	if (len > max)
		len = max;
	reader->head += len;
	reader->payload_left -= (uint32_t)len;
	return len;
}

size_t
frame_reader_join(struct frame_reader *reader, const uint8_t *bytes, size_t len)
{
	const uint8_t *piece;
	size_t n = frame_reader_take(reader, SIZE_MAX, &piece);

	memmove((uint8_t *)(uintptr_t)bytes + len, piece, n);
	return n;
}

void
frame_reader_lose_track(struct frame_reader *reader)
{
	reader->head = reader->tail;
	reader->payload_left = UINT32_MAX;
}
