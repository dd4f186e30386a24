/*
 * Frames out of the bytes of a stream, however these come.
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

#include "protocol/frame_reader.h"

#define SIZE 128

static uint8_t memory[SIZE];

static struct frame_reader
reader_of_memory(void)
{
	return (struct frame_reader){ .buffer = memory, .size = SIZE };
}

/* Has LEN bytes come. */
static void
receive(struct frame_reader *reader, const void *bytes, size_t len)
{
	uint8_t *place;

	assert_true(frame_reader_room(reader, &place) >= len);
	memcpy(place, bytes, len);
	frame_reader_received(reader, len);
}

static void
receive_header(struct frame_reader *reader, uint8_t type, uint32_t len)
{
	uint8_t header[VMM_GUEST_HEADER_LEN];

	frame_header_format(header, type, len);
	receive(reader, header, sizeof(header));
}

static void
test_frames_that_come_byte_by_byte_are_the_same(void **state)
{
	const uint8_t stream[] = "\x01\x03\0\0\0abc\x02\0\0\0\0\x03\x01\0\0\0z";
	struct frame_reader reader = reader_of_memory();
	struct frame_header header = { 0 };
	char seen[8] = "";
	size_t frames = 0;
	size_t len = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(stream) - 1; i++) {
		const uint8_t *piece;
		size_t n;

		receive(&reader, stream + i, 1);
		if (reader.payload_left == 0 && frame_reader_next(&reader, &header) == 0)
			assert_int_equal(header.type, ++frames);
		n = frame_reader_take(&reader, SIZE_MAX, &piece);
		memcpy(seen + len, piece, n);
		len += n;
	}
	assert_int_equal(frames, 3);
	assert_string_equal(seen, "abcz");
	assert_int_equal(reader.payload_left, 0);
}

static void
test_payload_ends_where_the_next_frame_begins(void **state)
{
	struct frame_reader reader = reader_of_memory();
	struct frame_header header;
	const uint8_t *piece;

	(void)state;
	receive_header(&reader, 1, 4);
	receive(&reader, "abcd", 4);
	receive_header(&reader, 2, 0);
	assert_int_equal(frame_reader_next(&reader, &header), 0);
	assert_int_equal(frame_reader_take(&reader, 3, &piece), 3);
	assert_memory_equal(piece, "abc", 3);
	assert_int_equal(frame_reader_take(&reader, 3, &piece), 1);
	assert_int_equal(*piece, 'd');
	assert_int_equal(frame_reader_take(&reader, 3, &piece), 0);
	assert_int_equal(frame_reader_next(&reader, &header), 0);
	assert_int_equal(header.type, 2);
	assert_int_equal(frame_reader_next(&reader, &header), -EAGAIN);
}

static void
test_missing_is_what_has_not_come_of_the_payload(void **state)
{
	struct frame_reader reader = reader_of_memory();
	struct frame_header header;

	(void)state;
	receive_header(&reader, 1, 5);
	assert_int_equal(frame_reader_missing(&reader), 0);
	assert_int_equal(frame_reader_next(&reader, &header), 0);
	assert_int_equal(frame_reader_missing(&reader), 5);
	receive(&reader, "ab", 2);
	assert_int_equal(frame_reader_missing(&reader), 3);
	receive(&reader, "cdeXYZ", 6);
	assert_int_equal(frame_reader_missing(&reader), 0);
}

static void
test_a_header_of_too_much_is_refused_and_stays(void **state)
{
	struct frame_reader reader = reader_of_memory();
	struct frame_header header;
	const uint8_t *bytes;

	(void)state;
	receive_header(&reader, 1, VMM_GUEST_FRAME_MAX + 1);
	assert_int_equal(frame_reader_next(&reader, &header), -EMSGSIZE);
	assert_int_equal(frame_reader_next(&reader, &header), -EMSGSIZE);
	assert_int_equal(frame_reader_peek(&reader, &bytes), VMM_GUEST_HEADER_LEN);
	assert_int_equal(reader.payload_left, 0);
}

static void
test_payload_comes_to_an_aligned_place(void **state)
{
	struct frame_reader reader = reader_of_memory();
	struct frame_header header;
	uint8_t *place;

	(void)state;
	receive_header(&reader, 1, SIZE);
	(void)frame_reader_room(&reader, &place);
	assert_ptr_equal(place, memory + FRAME_READER_PAYLOAD_OFFSET);
	/* Once the header is taken all of the buffer is free. */
	assert_int_equal(frame_reader_next(&reader, &header), 0);
	assert_int_equal(frame_reader_room(&reader, &place), SIZE);
	assert_ptr_equal(place, memory);
}

static void
test_what_is_not_taken_is_moved_to_the_front(void **state)
{
	const char full[SIZE] = { 'f' };
	struct frame_reader reader = reader_of_memory();
	struct frame_header header;
	uint8_t *place;

	(void)state;
	receive_header(&reader, 1, SIZE);
	receive(&reader, "abc", 3);
	assert_int_equal(frame_reader_next(&reader, &header), 0);
	assert_int_equal(frame_reader_room(&reader, &place), SIZE - 3);
	assert_ptr_equal(place, memory + 3);
	assert_memory_equal(memory, "abc", 3);
	receive(&reader, full, SIZE - 3);
	assert_int_equal(frame_reader_room(&reader, &place), 0);
	assert_int_equal(frame_reader_missing(&reader), 0);
}

static void
test_a_header_that_came_by_half_is_moved_to_its_place(void **state)
{
	struct frame_reader reader = reader_of_memory();
	struct frame_header header;
	const uint8_t *bytes;
	uint8_t *place;

	(void)state;
	receive_header(&reader, 1, 3);
	receive(&reader, "abc\x02\x09", 5);
	assert_int_equal(frame_reader_next(&reader, &header), 0);
	assert_int_equal(frame_reader_take(&reader, SIZE_MAX, &bytes), 3);
	(void)frame_reader_room(&reader, &place);
	assert_ptr_equal(place, memory + FRAME_READER_PAYLOAD_OFFSET - 3);
	receive(&reader, "\0\0\0", 3);
	assert_int_equal(frame_reader_next(&reader, &header), 0);
	assert_int_equal(header.type, 2);
	assert_int_equal(header.len, 9);
}

static void
test_a_header_is_looked_at_and_stays(void **state)
{
	struct frame_reader reader = reader_of_memory();
	struct frame_header header;

	(void)state;
	assert_int_equal(frame_reader_look(&reader, &header), -EAGAIN);
	receive_header(&reader, 3, 7);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(frame_reader_look(&reader, &header), 0);
		assert_int_equal(header.type, 3);
		assert_int_equal(header.len, 7);
		assert_int_equal(reader.payload_left, 0);
	}
	assert_int_equal(frame_reader_next(&reader, &header), 0);
}

static void
test_payload_is_joined_to_what_was_taken_before(void **state)
{
	struct frame_reader reader = reader_of_memory();
	struct frame_header header;
	const uint8_t *bytes;

	(void)state;
	receive_header(&reader, 1, 3);
	receive(&reader, "abc", 3);
	receive_header(&reader, 1, 7);
	receive(&reader, "defgh", 5);
	assert_int_equal(frame_reader_next(&reader, &header), 0);
	assert_int_equal(frame_reader_take(&reader, SIZE_MAX, &bytes), 3);
	assert_int_equal(frame_reader_next(&reader, &header), 0);
	assert_int_equal(frame_reader_join(&reader, bytes, 3), 5);
	assert_memory_equal(bytes, "abcdefgh", 8);
	assert_int_equal(reader.payload_left, 2);
	assert_int_equal(frame_reader_join(&reader, bytes, 8), 0);
}

static void
test_bytes_before_the_first_frame_are_skipped(void **state)
{
	struct frame_reader reader = reader_of_memory();
	struct frame_header header;
	const uint8_t *bytes;

	(void)state;
	receive(&reader, "OK 52\n", 6);
	receive_header(&reader, 7, 0);
	assert_int_equal(frame_reader_peek(&reader, &bytes), 6 + VMM_GUEST_HEADER_LEN);
	assert_memory_equal(bytes, "OK 52\n", 6);
	frame_reader_skip(&reader, 6);
	assert_int_equal(frame_reader_next(&reader, &header), 0);
	assert_int_equal(header.type, 7);
}

static void
test_where_track_is_lost_all_is_payload(void **state)
{
	struct frame_reader reader = reader_of_memory();
	const uint8_t *piece;

	(void)state;
	receive_header(&reader, 1, UINT32_MAX);
	frame_reader_lose_track(&reader);
	assert_int_equal(frame_reader_take(&reader, SIZE_MAX, &piece), 0);
	receive_header(&reader, 1, 0);
	assert_int_equal(frame_reader_take(&reader, SIZE_MAX, &piece), VMM_GUEST_HEADER_LEN);
	assert_true(reader.payload_left > 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_frames_that_come_byte_by_byte_are_the_same),
		cmocka_unit_test(test_payload_ends_where_the_next_frame_begins),
		cmocka_unit_test(test_missing_is_what_has_not_come_of_the_payload),
		cmocka_unit_test(test_a_header_of_too_much_is_refused_and_stays),
		cmocka_unit_test(test_payload_comes_to_an_aligned_place),
		cmocka_unit_test(test_what_is_not_taken_is_moved_to_the_front),
		cmocka_unit_test(test_a_header_that_came_by_half_is_moved_to_its_place),
		cmocka_unit_test(test_a_header_is_looked_at_and_stays),
		cmocka_unit_test(test_payload_is_joined_to_what_was_taken_before),
		cmocka_unit_test(test_bytes_before_the_first_frame_are_skipped),
		cmocka_unit_test(test_where_track_is_lost_all_is_payload),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
