/*
 * frame_reader: headers and pieces of payload out of the bytes of a stream, as they
 * come. The memory is the caller's, and so is the receiving: frame_reader_room() says
 * where, frame_reader_received() is told how much came.
 * Pure: it opens nothing and reads no clock.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PROTOCOL_FRAME_READER_H
#define PROTOCOL_FRAME_READER_H

#include <stddef.h>
#include <stdint.h>

#include "protocol/frame.h"

/* Where in the buffer the payload of a frame stands that comes when there is nothing
 * else: aligned for the kernel's copy if the buffer is. */
#define FRAME_READER_PAYLOAD_OFFSET 64

struct frame_reader {
	uint8_t *buffer; /* borrowed */
	size_t size;	 /* of it; above FRAME_READER_PAYLOAD_OFFSET */
	size_t head;	 /* what was received and not yet taken: [head, tail) */
	size_t tail;
	uint32_t payload_left; /* bytes of the frame being read, not yet taken */
};

/* Makes room behind what was received, by moving that to the front: to where the next
 * payload, or what is left of this one, begins at an aligned place. Returns how many bytes
 * are free at *RET: 0 where the buffer is full. */
size_t frame_reader_room(struct frame_reader *reader, uint8_t **ret);

/* LEN bytes have come to where frame_reader_room() said. */
static inline void
frame_reader_received(struct frame_reader *reader, size_t len)
{
	reader->tail += len;
}

/* How many bytes were received and not yet taken, at *RET; borrowed until the next
 * frame_reader_room(), as is all that is given out here. */
static inline size_t
frame_reader_peek(const struct frame_reader *reader, const uint8_t **ret)
{
	*ret = reader->buffer + reader->head;
	return reader->tail - reader->head;
}

/* How many bytes of the frame's payload are still to be received. */
static inline size_t
frame_reader_missing(const struct frame_reader *reader)
{
	size_t len = reader->tail - reader->head;

	return reader->payload_left > len ? reader->payload_left - len : 0;
}

/* Takes LEN of the bytes that were received, which belong to no frame: a handshake. */
static inline void
frame_reader_skip(struct frame_reader *reader, size_t len)
{
	reader->head += len;
}

/* The next header, as frame_reader_next() would take it. */
int frame_reader_look(const struct frame_reader *reader, struct frame_header *ret);

/* Takes the next header, when the payload before it has been taken whole. Returns 0;
 * -EAGAIN if it has not come whole; or -EMSGSIZE as frame_header_parse(): then nothing
 * is taken. */
int frame_reader_next(struct frame_reader *reader, struct frame_header *ret);

/* Takes up to MAX bytes of the frame's payload. Returns how many are at *RET, 0 if none
 * have come or none are left. */
size_t frame_reader_take(struct frame_reader *reader, size_t max, const uint8_t **ret);

/* Takes what has come of the frame's payload, and moves it behind the LEN BYTES that were
 * taken of the frames right before it. Returns how many came to them. */
size_t frame_reader_join(struct frame_reader *reader, const uint8_t *bytes, size_t len);

/* What has come, and what still comes, is payload of no frame. */
void frame_reader_lose_track(struct frame_reader *reader);

#endif
