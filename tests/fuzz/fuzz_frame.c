/*
 * Payloads of fixed shape: what is read is written as it was.
 *
 * SPDX-License-Identifier: MIT
 */
#include "fuzz.h"

#include "protocol/frame.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t bytes[VMM_GUEST_CLOCK_SYNC_LEN];
	struct frame_clock_sync sync;
	struct frame_header header;
	struct frame_resize resize;
	struct frame_exit end;
	int signal;

	if (size >= VMM_GUEST_HEADER_LEN) {
		int r = frame_header_parse(data, &header);

		FUZZ_CHECK((r < 0) == (header.len > VMM_GUEST_FRAME_MAX));
		frame_header_format(bytes, header.type, header.len);
		FUZZ_CHECK(memcmp(bytes, data, VMM_GUEST_HEADER_LEN) == 0);
	}
	if (frame_exit_parse(data, size, &end) == 0) {
		frame_exit_format(bytes, end);
		FUZZ_CHECK(memcmp(bytes, data, size < VMM_GUEST_EXIT_LEN ? 4 : 8) == 0);
	}
	if (frame_resize_parse(data, size, &resize) == 0) {
		frame_resize_format(bytes, resize);
		FUZZ_CHECK(memcmp(bytes, data, VMM_GUEST_RESIZE_LEN) == 0);
	}
	if (frame_signal_parse(data, size, &signal) == 0) {
		FUZZ_CHECK(signal >= 1 && signal <= 64);
		frame_signal_format(bytes, signal);
		FUZZ_CHECK(memcmp(bytes, data, VMM_GUEST_SIGNAL_LEN) == 0);
	}
	if (frame_clock_sync_parse(data, size, &sync) == 0) {
		frame_clock_sync_format(bytes, sync.seconds, sync.nanoseconds);
		FUZZ_CHECK(memcmp(bytes, data, VMM_GUEST_CLOCK_SYNC_LEN) == 0);
		FUZZ_CHECK(sync.entropy + sync.entropy_len <= data + size);
	}
	return 0;
}
