/*
 * What a slot is told of a frame on its way, and what want of memory does to it. The
 * connection is a socket pair whose other end is the host.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <cmocka.h>

#include "platform/clock.h"
#include "platform/io_error.h"
#include "session/conn_note.h"
#include "session/conn_wait.h"
#include "conn_pair.h"

/* Fills the socket with whole frames; the host reads none. */
static void
fill_with_frames(void)
{
	memset(conn_tx_buffer(), 'x', 1000);
	do {
		conn_begin_push(&conn, VMM_GUEST_STDOUT, 1000, false);
	} while (conn_push(&conn) == 0);
}

static void
test_a_frame_that_none_of_went_leaves_the_supervisor_its_word(void **state)
{
	(void)state;
	conn_set_room(&conn, CONN_ROOM);
	fill_with_frames();
	assert_true(conn_is_pushing(&conn));
	assert_int_equal(slot.in_frame, 0);
}

static void
test_the_first_32_kib_of_a_vsock_are_all_that_is_known_to_have_room(void **state)
{
	size_t gone = 0;

	(void)state;
	memset(conn_tx_buffer(), 'x', 1000);
	while (gone + VMM_GUEST_HEADER_LEN + 1000 <= CONN_ROOM) {
		(void)conn_note_begin(&conn, conn_tx_buffer(), conn_tx_buffer(), 1000, false);
		conn_note_try(&conn, VMM_GUEST_HEADER_LEN + 1000);
		assert_int_equal(slot.in_frame, 0);
		conn_note_sent(&conn, VMM_GUEST_HEADER_LEN + 1000);
		gone += VMM_GUEST_HEADER_LEN + 1000;
	}
	(void)conn_note_begin(&conn, conn_tx_buffer(), conn_tx_buffer(), 1000, false);
	conn_note_try(&conn, VMM_GUEST_HEADER_LEN + 1000);
	assert_int_equal(slot.in_frame, 1);
	conn_note_sent(&conn, VMM_GUEST_HEADER_LEN + 1000);
	assert_int_equal(slot.in_frame, 0);
}

/* As of a STATUS that a host did not take in time, before EXIT. */
static void
test_nothing_is_said_into_the_middle_of_a_frame_that_was_given_up(void **state)
{
	static const uint8_t much[VMM_GUEST_DATA_MAX];
	static uint8_t drain[VMM_GUEST_DATA_MAX];

	(void)state;
	conn.stall_ms = 20;
	while (conn_send(&conn, VMM_GUEST_STATUS, much, sizeof(much)) == 0)
		continue;
	assert_int_equal(slot.in_frame, 1);
	while (recv(host_fd, drain, sizeof(drain), MSG_DONTWAIT) > 0)
		continue;
	assert_int_equal(conn_send_last(&conn, VMM_GUEST_EXIT, much, 8), -EPIPE);
	conn_begin_push(&conn, VMM_GUEST_STDOUT, 1, false);
	assert_int_equal(conn_push(&conn), -EPIPE);
	assert_int_equal(conn_send_frames(&conn, much, VMM_GUEST_HEADER_LEN, 1), -EPIPE);
	assert_int_equal(recv(host_fd, drain, sizeof(drain), MSG_DONTWAIT), -1);
	assert_int_equal(slot.in_frame, 1);
	assert_int_equal(slot.phase, SLOT_OPEN);
}

static void
test_a_frame_above_the_room_is_in_doubt_while_it_is_sent(void **state)
{
	(void)state;
	conn_set_room(&conn, CONN_ROOM);
	(void)conn_note_begin(&conn, conn_tx_buffer(), conn_tx_buffer(), CONN_ROOM, false);
	conn_note_try(&conn, VMM_GUEST_HEADER_LEN + CONN_ROOM);
	assert_int_equal(slot.in_frame, 1);
	/* Half of one is no frame's boundary, also while nothing is sent. */
	conn_note_sent(&conn, 17);
	assert_int_equal(slot.in_frame, 1);
	conn_note_waiting(&conn);
	assert_int_equal(slot.in_frame, 1);
}

static void
test_room_that_was_not_there_is_not_believed_in_again(void **state)
{
	(void)state;
	(void)conn_note_begin(&conn, conn_tx_buffer(), conn_tx_buffer(), 1000, false);
	conn_note_try(&conn, VMM_GUEST_HEADER_LEN + 1000);
	conn_note_sent(&conn, 17);
	assert_int_equal(slot.in_frame, 1);
	conn_note_try(&conn, VMM_GUEST_HEADER_LEN + 1000 - 17);
	conn_note_sent(&conn, VMM_GUEST_HEADER_LEN + 1000 - 17);
	assert_int_equal(slot.in_frame, 0);
	(void)conn_note_begin(&conn, conn_tx_buffer(), conn_tx_buffer(), 1, false);
	conn_note_try(&conn, VMM_GUEST_HEADER_LEN + 1);
	assert_int_equal(slot.in_frame, 1);
}

static void
test_the_last_frame_is_kept_with_how_much_of_it_went(void **state)
{
	static const uint8_t exit_frame[] = { VMM_GUEST_EXIT, 8, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8 };

	(void)state;
	conn.room = 0;
	(void)conn_note_begin(
	    &conn, exit_frame, exit_frame + VMM_GUEST_HEADER_LEN, VMM_GUEST_EXIT_LEN, true);
	assert_int_equal(slot.phase, SLOT_LAST_SENDING);
	assert_int_equal(slot.last.len, sizeof(exit_frame));
	assert_memory_equal(slot.last.bytes, exit_frame, sizeof(exit_frame));
	conn_note_try(&conn, sizeof(exit_frame));
	assert_int_equal(slot.in_frame, 1);
	conn_note_waiting(&conn);
	assert_int_equal(slot.in_frame, 0);
	assert_int_equal(slot.last.sent, 0);
	conn_note_try(&conn, sizeof(exit_frame));
	conn_note_sent(&conn, 6);
	assert_int_equal(slot.in_frame, 0);
	assert_int_equal(slot.last.sent, 6);
	conn_note_try(&conn, sizeof(exit_frame) - 6);
	assert_int_equal(slot.in_frame, 1);
	conn_note_sent(&conn, sizeof(exit_frame) - 6);
	assert_int_equal(slot.phase, SLOT_LAST_SENT);
	assert_int_equal(slot.in_frame, 0);
}

static void
test_a_long_last_frame_is_not_kept(void **state)
{
	static const uint8_t payload[SLOT_LAST_MAX];
	static const uint8_t header[VMM_GUEST_HEADER_LEN];

	(void)state;
	slot.last.len = 7;
	(void)conn_note_begin(
	    &conn, header, payload, SLOT_LAST_MAX - VMM_GUEST_HEADER_LEN + 1, true);
	assert_int_equal(slot.phase, SLOT_LAST_SENDING);
	assert_int_equal(slot.last.len, 0);
	(void)conn_note_begin(&conn, header, payload, SLOT_LAST_MAX - VMM_GUEST_HEADER_LEN, true);
	assert_int_equal(slot.last.len, SLOT_LAST_MAX);
}

/* ---- want of memory ---------------------------------------------------- */

static void
test_want_of_memory_is_borne_and_pieces_get_small(void **state)
{
	uint64_t before = clock_mono_ms();

	(void)state;
	assert_int_equal(conn_bear(&conn, ENOMEM), -EAGAIN);
	assert_true(conn.lack.since_ms >= before);
	assert_int_equal(conn_bear(&conn, ENOBUFS), -EAGAIN);
	assert_true(clock_mono_ms() - before >= 2 * IO_NO_MEMORY_PAUSE_MS - 1);
	assert_int_equal(conn_bear(&conn, EAGAIN), -EAGAIN);
	assert_int_equal(conn_bear(&conn, EINTR), -EINTR);
	assert_int_equal(conn_bear(&conn, ECONNRESET), -EPIPE);
}

static void
test_want_of_memory_is_not_borne_for_ever(void **state)
{
	(void)state;
	conn.lack.max_ms = 30;
	while (conn_bear(&conn, ENOMEM) == -EAGAIN)
		assert_true(clock_mono_ms() < conn.lack.since_ms + SOON_MS);
	assert_true(clock_mono_ms() > conn.lack.since_ms + 30);
}

static void
test_small_pieces_make_the_same_frames_and_grow_again(void **state)
{
	static uint8_t payload[20000];

	(void)state;
	for (size_t i = 0; i < sizeof(payload); i++)
		payload[i] = (uint8_t)(i * 7);
	conn.send_max = 3;
	assert_int_equal(conn_send(&conn, VMM_GUEST_STDERR, payload, sizeof(payload)), 0);
	assert_host_gets(VMM_GUEST_STDERR, payload, sizeof(payload));
	conn.send_max = 3;
	memcpy(conn_tx_buffer(), payload, sizeof(payload));
	conn_begin_push(&conn, VMM_GUEST_STDOUT, sizeof(payload), false);
	assert_int_equal(conn_push(&conn), 0);
	assert_host_gets(VMM_GUEST_STDOUT, payload, sizeof(payload));
	assert_true(conn.send_max > 3);
}

#define EACH(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		EACH(test_a_frame_that_none_of_went_leaves_the_supervisor_its_word),
		EACH(test_the_first_32_kib_of_a_vsock_are_all_that_is_known_to_have_room),
		EACH(test_nothing_is_said_into_the_middle_of_a_frame_that_was_given_up),
		EACH(test_a_frame_above_the_room_is_in_doubt_while_it_is_sent),
		EACH(test_room_that_was_not_there_is_not_believed_in_again),
		EACH(test_the_last_frame_is_kept_with_how_much_of_it_went),
		EACH(test_a_long_last_frame_is_not_kept),
		EACH(test_want_of_memory_is_borne_and_pieces_get_small),
		EACH(test_want_of_memory_is_not_borne_for_ever),
		EACH(test_small_pieces_make_the_same_frames_and_grow_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
