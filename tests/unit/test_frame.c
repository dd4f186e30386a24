/*
 * Frame headers and the payloads of fixed shape.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "protocol/frame.h"

static void
test_a_header_is_a_type_and_a_little_endian_length(void **state)
{
	const uint8_t bytes[VMM_GUEST_HEADER_LEN] = { 0x12, 0x04, 0x03, 0x02, 0x00 };
	uint8_t made[VMM_GUEST_HEADER_LEN];
	struct frame_header header;

	(void)state;
	assert_int_equal(frame_header_parse(bytes, &header), 0);
	assert_int_equal(header.type, VMM_GUEST_EXIT);
	assert_int_equal(header.len, 0x00020304);
	frame_header_format(made, VMM_GUEST_EXIT, 0x00020304);
	assert_memory_equal(made, bytes, sizeof(bytes));
}

static void
test_no_payload_and_the_largest_one_are_legal(void **state)
{
	uint8_t bytes[VMM_GUEST_HEADER_LEN];
	struct frame_header header;

	(void)state;
	frame_header_format(bytes, VMM_GUEST_STDIN, 0);
	assert_int_equal(frame_header_parse(bytes, &header), 0);
	assert_int_equal(header.len, 0);
	frame_header_format(bytes, VMM_GUEST_STDIN, VMM_GUEST_FRAME_MAX);
	assert_int_equal(frame_header_parse(bytes, &header), 0);
	assert_int_equal(header.len, VMM_GUEST_FRAME_MAX);
}

static void
test_one_byte_more_is_refused_though_told(void **state)
{
	uint8_t bytes[VMM_GUEST_HEADER_LEN];
	struct frame_header header;

	(void)state;
	frame_header_format(bytes, VMM_GUEST_STDIN, VMM_GUEST_FRAME_MAX + 1);
	assert_int_equal(frame_header_parse(bytes, &header), -EMSGSIZE);
	assert_int_equal(header.len, VMM_GUEST_FRAME_MAX + 1);
	frame_header_format(bytes, 0xff, UINT32_MAX);
	assert_int_equal(frame_header_parse(bytes, &header), -EMSGSIZE);
	assert_int_equal(header.type, 0xff);
}

static void
test_an_exit_has_a_code_and_a_signal(void **state)
{
	const uint8_t bytes[VMM_GUEST_EXIT_LEN] = { 0x89, 0, 0, 0, 9, 0, 0, 0 };
	uint8_t made[VMM_GUEST_EXIT_LEN];
	struct frame_exit end;

	(void)state;
	assert_int_equal(frame_exit_parse(bytes, sizeof(bytes), &end), 0);
	assert_int_equal(end.code, 137);
	assert_int_equal(end.signal, 9);
	frame_exit_format(made, end);
	assert_memory_equal(made, bytes, sizeof(bytes));
}

static void
test_an_exit_code_may_be_negative(void **state)
{
	uint8_t bytes[VMM_GUEST_EXIT_LEN];
	struct frame_exit end;

	(void)state;
	frame_exit_format(bytes, (struct frame_exit){ .code = VMM_GUEST_EXIT_CONTROL_FAILED });
	assert_memory_equal(bytes, "\xff\xff\xff\xff\0\0\0\0", sizeof(bytes));
	assert_int_equal(frame_exit_parse(bytes, sizeof(bytes), &end), 0);
	assert_true(end.code == -1);
	assert_int_equal(end.signal, 0);
}

static void
test_an_exit_of_the_first_agents_has_no_signal(void **state)
{
	const uint8_t bytes[VMM_GUEST_EXIT_LEN] = { 3, 0, 0, 0, 9, 9, 9, 9 };
	struct frame_exit end;

	(void)state;
	for (size_t len = 4; len < VMM_GUEST_EXIT_LEN; len++) {
		assert_int_equal(frame_exit_parse(bytes, len, &end), 0);
		assert_int_equal(end.code, 3);
		assert_int_equal(end.signal, 0);
	}
	for (size_t len = 0; len < 4; len++)
		assert_int_equal(frame_exit_parse(bytes, len, &end), -EBADMSG);
}

static void
test_a_resize_is_columns_then_rows(void **state)
{
	const uint8_t bytes[] = { 0x84, 0x00, 0x2b, 0x01, 0xee };
	uint8_t made[VMM_GUEST_RESIZE_LEN];
	struct frame_resize size;

	(void)state;
	assert_int_equal(frame_resize_parse(bytes, VMM_GUEST_RESIZE_LEN, &size), 0);
	assert_int_equal(size.columns, 132);
	assert_int_equal(size.rows, 299);
	frame_resize_format(made, size);
	assert_memory_equal(made, bytes, sizeof(made));
	/* Further bytes are ignored. */
	assert_int_equal(frame_resize_parse(bytes, sizeof(bytes), &size), 0);
	assert_int_equal(size.rows, 299);
	for (size_t len = 0; len < VMM_GUEST_RESIZE_LEN; len++)
		assert_int_equal(frame_resize_parse(bytes, len, &size), -EBADMSG);
}

static void
test_an_ack_has_an_offset_of_64_bits(void **state)
{
	const uint8_t one[8] = { 1, 0, 0, 0, 0, 0, 0, 0x80 };
	uint8_t bytes[8];
	uint64_t offset = 7;

	(void)state;
	assert_int_equal(frame_output_ack_parse(one, sizeof(one), &offset), 0);
	assert_true(offset == UINT64_C(0x8000000000000001));
	frame_output_ack_format(bytes, offset);
	assert_memory_equal(bytes, one, sizeof(one));
	assert_int_equal(frame_output_ack_parse(one, 7, &offset), -EBADMSG);
}

static void
test_a_signal_is_from_1_to_64(void **state)
{
	uint8_t bytes[VMM_GUEST_SIGNAL_LEN];
	const int bad[] = { 0, -1, 65, INT32_MAX, INT32_MIN, 0x0100 };
	int signal = -7;

	(void)state;
	for (int i = 1; i <= 64; i++) {
		frame_signal_format(bytes, i);
		assert_int_equal(frame_signal_parse(bytes, sizeof(bytes), &signal), 0);
		assert_int_equal(signal, i);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		frame_signal_format(bytes, bad[i]);
		assert_int_equal(frame_signal_parse(bytes, sizeof(bytes), &signal), -EBADMSG);
	}
	frame_signal_format(bytes, 15);
	assert_int_equal(frame_signal_parse(bytes, 3, &signal), -EBADMSG);
	assert_int_equal(signal, 64);
}

static void
test_a_clock_sync_has_seconds_before_1970_too(void **state)
{
	uint8_t bytes[VMM_GUEST_CLOCK_SYNC_LEN];
	struct frame_clock_sync sync;

	(void)state;
	frame_clock_sync_format(bytes, -2, 999999999);
	assert_memory_equal(bytes, "\xfe\xff\xff\xff\xff\xff\xff\xff\xff\xc9\x9a\x3b", 12);
	assert_int_equal(frame_clock_sync_parse(bytes, sizeof(bytes), &sync), 0);
	assert_true(sync.seconds == -2);
	assert_int_equal(sync.nanoseconds, 999999999);
	assert_int_equal(sync.entropy_len, 0);
	for (size_t len = 0; len < sizeof(bytes); len++)
		assert_int_equal(frame_clock_sync_parse(bytes, len, &sync), -EBADMSG);
}

static void
test_what_follows_the_time_is_entropy_up_to_its_limit(void **state)
{
	static uint8_t bytes[VMM_GUEST_CLOCK_SYNC_LEN + VMM_GUEST_ENTROPY_MAX + 1];
	struct frame_clock_sync sync;

	(void)state;
	assert_int_equal(frame_clock_sync_parse(bytes, 13, &sync), 0);
	assert_ptr_equal(sync.entropy, bytes + VMM_GUEST_CLOCK_SYNC_LEN);
	assert_int_equal(sync.entropy_len, 1);
	assert_int_equal(frame_clock_sync_parse(bytes, sizeof(bytes) - 1, &sync), 0);
	assert_int_equal(sync.entropy_len, VMM_GUEST_ENTROPY_MAX);
	assert_int_equal(frame_clock_sync_parse(bytes, sizeof(bytes), &sync), 0);
	assert_int_equal(sync.entropy_len, VMM_GUEST_ENTROPY_MAX);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_header_is_a_type_and_a_little_endian_length),
		cmocka_unit_test(test_no_payload_and_the_largest_one_are_legal),
		cmocka_unit_test(test_one_byte_more_is_refused_though_told),
		cmocka_unit_test(test_an_exit_has_a_code_and_a_signal),
		cmocka_unit_test(test_an_exit_code_may_be_negative),
		cmocka_unit_test(test_an_exit_of_the_first_agents_has_no_signal),
		cmocka_unit_test(test_a_resize_is_columns_then_rows),
		cmocka_unit_test(test_an_ack_has_an_offset_of_64_bits),
		cmocka_unit_test(test_a_signal_is_from_1_to_64),
		cmocka_unit_test(test_a_clock_sync_has_seconds_before_1970_too),
		cmocka_unit_test(test_what_follows_the_time_is_entropy_up_to_its_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
