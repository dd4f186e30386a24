/*
 * SPDX-License-Identifier: MIT
 */
#include "protocol/frame.h"

#include <errno.h>

#include "protocol/wire.h"

#define FRAME_SIGNAL_MAX 64

int
frame_header_parse(const uint8_t *bytes, struct frame_header *ret)
{
	ret->type = bytes[0];
	ret->len = wire_get_u32(bytes + 1);
	return ret->len > VMM_GUEST_FRAME_MAX ? -EMSGSIZE : 0;
}

void
frame_header_format(uint8_t *bytes, uint8_t type, uint32_t len)
{
	bytes[0] = type;
	wire_put_u32(bytes + 1, len);
}

void
frame_exit_format(uint8_t *bytes, struct frame_exit end)
{
	wire_put_u32(bytes, (uint32_t)end.code);
	wire_put_u32(bytes + 4, (uint32_t)end.signal);
}

int
frame_exit_parse(const uint8_t *bytes, size_t len, struct frame_exit *ret)
{
	if (len < 4)
		return -EBADMSG;
	ret->code = (int32_t)wire_get_u32(bytes);
	ret->signal = len >= VMM_GUEST_EXIT_LEN ? (int32_t)wire_get_u32(bytes + 4) : 0;
	return 0;
}

int
frame_resize_parse(const uint8_t *bytes, size_t len, struct frame_resize *ret)
{
	if (len < VMM_GUEST_RESIZE_LEN)
		return -EBADMSG;
	ret->columns = wire_get_u16(bytes);
	ret->rows = wire_get_u16(bytes + 2);
	return 0;
}

void
frame_resize_format(uint8_t *bytes, struct frame_resize size)
{
	wire_put_u16(bytes, size.columns);
	wire_put_u16(bytes + 2, size.rows);
}

int
frame_signal_parse(const uint8_t *bytes, size_t len, int *ret)
{
	int32_t signal;

	if (len < VMM_GUEST_SIGNAL_LEN)
		return -EBADMSG;
	signal = (int32_t)wire_get_u32(bytes);
	if (signal < 1 || signal > FRAME_SIGNAL_MAX)
		return -EBADMSG;
	*ret = signal;
	return 0;
}

void
frame_signal_format(uint8_t *bytes, int signal)
{
	wire_put_u32(bytes, (uint32_t)signal);
}

int
frame_output_ack_parse(const uint8_t *bytes, size_t len, uint64_t *ret)
{
	if (len < VMM_GUEST_OUTPUT_ACK_LEN)
		return -EBADMSG;
	*ret = wire_get_u64(bytes);
	return 0;
}

void
frame_output_ack_format(uint8_t *bytes, uint64_t offset)
{
	wire_put_u64(bytes, offset);
}

int
frame_clock_sync_parse(const uint8_t *bytes, size_t len, struct frame_clock_sync *ret)
{
	if (len < VMM_GUEST_CLOCK_SYNC_LEN)
		return -EBADMSG;
	ret->seconds = (int64_t)wire_get_u64(bytes);
	ret->nanoseconds = wire_get_u32(bytes + 8);
	ret->entropy = bytes + VMM_GUEST_CLOCK_SYNC_LEN;
	ret->entropy_len = len - VMM_GUEST_CLOCK_SYNC_LEN;
	if (ret->entropy_len > VMM_GUEST_ENTROPY_MAX)
		ret->entropy_len = VMM_GUEST_ENTROPY_MAX;
	return 0;
}

void
frame_clock_sync_format(uint8_t *bytes, int64_t seconds, uint32_t nanoseconds)
{
	wire_put_u64(bytes, (uint64_t)seconds);
	wire_put_u32(bytes + 8, nanoseconds);
}
