/*
 * frame: headers and the payloads of fixed shape, bytes to numbers and back.
 * Pure: it opens nothing, keeps nothing and reads no clock.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PROTOCOL_FRAME_H
#define PROTOCOL_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmm-guest/protocol.h"

struct frame_header {
	uint8_t type;
	uint32_t len; /* bytes of payload */
};

/* Reads the VMM_GUEST_HEADER_LEN bytes at BYTES. Returns 0, or -EMSGSIZE if the
 * length is above VMM_GUEST_FRAME_MAX; *RET is filled in either case. */
int frame_header_parse(const uint8_t *bytes, struct frame_header *ret);

/* Writes VMM_GUEST_HEADER_LEN bytes to BYTES. */
void frame_header_format(uint8_t *bytes, uint8_t type, uint32_t len);

/* EXIT: how a program, or the agent in its place, ended. */
struct frame_exit {
	int32_t code;
	int32_t signal;
};

/* Writes VMM_GUEST_EXIT_LEN bytes to BYTES. */
void frame_exit_format(uint8_t *bytes, struct frame_exit end);

/* Reads an EXIT of LEN bytes; one of 4 to 7 bytes has no signal, as the first
 * agents sent it. Returns 0, or -EBADMSG if it is shorter still. */
int frame_exit_parse(const uint8_t *bytes, size_t len, struct frame_exit *ret);

struct frame_resize {
	uint16_t columns;
	uint16_t rows;
};

/* RESIZE; bytes after the fourth are ignored. Returns 0, or -EBADMSG under
 * VMM_GUEST_RESIZE_LEN bytes. */
int frame_resize_parse(const uint8_t *bytes, size_t len, struct frame_resize *ret);
void frame_resize_format(uint8_t *bytes, struct frame_resize size);

/* SIGNAL: a number from 1 to 64. Returns 0, or -EBADMSG for anything else. */
int frame_signal_parse(const uint8_t *bytes, size_t len, int *ret);
void frame_signal_format(uint8_t *bytes, int signal);

/* The payload of OUTPUT_ACK: everything below the offset has arrived; bytes behind it are
 * ignored. Returns 0, or -EBADMSG. */
int frame_output_ack_parse(const uint8_t *bytes, size_t len, uint64_t *ret);
void frame_output_ack_format(uint8_t *bytes, uint64_t offset);

/* CLOCK_SYNC; ENTROPY points into BYTES. */
struct frame_clock_sync {
	int64_t seconds;
	uint32_t nanoseconds;
	const uint8_t *entropy;
	size_t entropy_len;
};

/* Returns 0, or -EBADMSG under VMM_GUEST_CLOCK_SYNC_LEN bytes. Entropy above
 * VMM_GUEST_ENTROPY_MAX bytes is cut. */
int frame_clock_sync_parse(const uint8_t *bytes, size_t len, struct frame_clock_sync *ret);

/* Writes VMM_GUEST_CLOCK_SYNC_LEN bytes; the caller puts entropy behind them. */
void frame_clock_sync_format(uint8_t *bytes, int64_t seconds, uint32_t nanoseconds);

#endif
