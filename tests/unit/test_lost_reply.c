/*
 * The last words to the host of a session whose worker has died.
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
#include <unistd.h>
#include <cmocka.h>

#include "platform/fd.h"
#include "platform/fdpass.h"
#include "protocol/frame.h"
#include "supervisor/lost_reply.h"

static uint8_t bytes[512];

/* Checks the frame at BYTES; returns what follows it. */
static const uint8_t *
assert_frame(const uint8_t *at, uint8_t type, const void *payload, size_t len)
{
	struct frame_header header;

	assert_int_equal(frame_header_parse(at, &header), 0);
	assert_int_equal(header.type, type);
	assert_int_equal(header.len, len);
	assert_memory_equal(at + VMM_GUEST_HEADER_LEN, payload, len);
	return at + VMM_GUEST_HEADER_LEN + len;
}

static void
test_a_program_ends_with_text_and_exit_125(void **state)
{
	const char *text = "worker lost: killed by signal 9\n";
	size_t len = lost_reply_format(SLOT_REPLY_EXEC, "killed by signal 9", bytes, sizeof(bytes));
	const uint8_t *end = assert_frame(bytes, VMM_GUEST_STDERR, text, strlen(text));

	(void)state;
	end = assert_frame(end, VMM_GUEST_EXIT, "\x7d\0\0\0\0\0\0\0", VMM_GUEST_EXIT_LEN);
	assert_int_equal(end - bytes, len);
}

static void
test_a_control_request_gets_exit_minus_1_alone(void **state)
{
	size_t len = lost_reply_format(SLOT_REPLY_CONTROL, "x", bytes, sizeof(bytes));
	const uint8_t *end =
	    assert_frame(bytes, VMM_GUEST_EXIT, "\xff\xff\xff\xff\0\0\0\0", VMM_GUEST_EXIT_LEN);

	(void)state;
	assert_int_equal(end - bytes, len);
}

/* No host of a control request takes a frame that is not EXIT. */
static void
test_a_host_whose_request_was_not_read_gets_exit_125_alone(void **state)
{
	size_t len = lost_reply_format(SLOT_REPLY_UNKNOWN, "x", bytes, sizeof(bytes));
	const uint8_t *end =
	    assert_frame(bytes, VMM_GUEST_EXIT, "\x7d\0\0\0\0\0\0\0", VMM_GUEST_EXIT_LEN);

	(void)state;
	assert_int_equal(end - bytes, len);
}

/* Its EXIT would be the end of a session that goes on. */
static void
test_who_was_attached_is_told_so_and_gets_no_exit(void **state)
{
	const char *text = "{\"event\":\"detached\",\"why\":\"worker lost\"}";
	size_t len = lost_reply_format(SLOT_REPLY_ATTACH, "x", bytes, sizeof(bytes));
	const uint8_t *end = assert_frame(bytes, VMM_GUEST_STATUS, text, strlen(text));

	(void)state;
	assert_int_equal(end - bytes, len);
}

static void
test_a_file_request_gets_eio(void **state)
{
	const char *text = "EIO: worker lost";
	size_t len = lost_reply_format(SLOT_REPLY_FILE, "x", bytes, sizeof(bytes));
	const uint8_t *end = assert_frame(bytes, VMM_GUEST_FILE_ERR, text, strlen(text));

	(void)state;
	assert_int_equal(end - bytes, len);
}

static void
test_nothing_is_said_where_no_port_is_known(void **state)
{
	(void)state;
	assert_int_equal(lost_reply_format(SLOT_REPLY_NONE, "x", bytes, sizeof(bytes)), 0);
	/* Nor where a broken slot has made the reply_style up. */
	assert_int_equal(lost_reply_format(SLOT_REPLY_UNKNOWN + 1, "x", bytes, sizeof(bytes)), 0);
	assert_int_equal(lost_reply_format(255, "x", bytes, sizeof(bytes)), 0);
}

static void
test_a_long_cause_is_cut_and_the_frames_stay_whole(void **state)
{
	static char cause[5000];
	struct frame_header header;
	size_t len;

	(void)state;
	memset(cause, 'c', sizeof(cause) - 1);
	len = lost_reply_format(SLOT_REPLY_EXEC, cause, bytes, sizeof(bytes));
	assert_int_equal(frame_header_parse(bytes, &header), 0);
	assert_int_equal(bytes[VMM_GUEST_HEADER_LEN + header.len - 1], '\n');
	assert_int_equal(len, 2 * VMM_GUEST_HEADER_LEN + header.len + (size_t)VMM_GUEST_EXIT_LEN);
	len = lost_reply_format(SLOT_REPLY_FILE, cause, bytes, sizeof(bytes));
	assert_int_equal(frame_header_parse(bytes, &header), 0);
	assert_int_equal(len, VMM_GUEST_HEADER_LEN + header.len);
	/* A buffer that might not do is not begun. */
	assert_int_equal(lost_reply_format(SLOT_REPLY_EXEC, "x", bytes, 64), 0);
}

static void
test_answers_that_were_held_back_come_before_the_error(void **state)
{
	const char *text = "EIO: worker lost";
	struct slot slot = { .phase = SLOT_OPEN, .reply_style = SLOT_REPLY_FILE };
	const uint8_t *end = bytes;
	size_t len;

	(void)state;
	slot.held = SLOT_HELD_MAX;
	len = lost_reply_compose(&slot, "x", bytes, sizeof(bytes));
	for (int i = 0; i < SLOT_HELD_MAX; i++)
		end = assert_frame(end, VMM_GUEST_FILE_ACK, "", 0);
	end = assert_frame(end, VMM_GUEST_FILE_ERR, text, strlen(text));
	assert_int_equal(end - bytes, len);
	/* None of a slot that makes no sense, nor on another port. */
	slot.held = SLOT_HELD_MAX + 1;
	assert_int_equal(lost_reply_compose(&slot, "x", bytes, sizeof(bytes)),
	    VMM_GUEST_HEADER_LEN + strlen(text));
	slot.held = 1;
	slot.reply_style = SLOT_REPLY_CONTROL;
	assert_int_equal(lost_reply_compose(&slot, "x", bytes, sizeof(bytes)),
	    VMM_GUEST_HEADER_LEN + VMM_GUEST_EXIT_LEN);
}

/* A host's end of a connection whose other end lies in the queue alone. */
struct funeral {
	int queue_fd;
	int host_fd;
	struct slot slot;
};

static void
begin_funeral(struct funeral *funeral, uint8_t phase, uint8_t in_frame)
{
	int write_fd;
	int pair[2];

	memset(&funeral->slot, 0, sizeof(funeral->slot));
	funeral->slot.phase = phase;
	funeral->slot.in_frame = in_frame;
	funeral->slot.reply_style = SLOT_REPLY_CONTROL;
	assert_int_equal(fdpass_open(&funeral->queue_fd, &write_fd), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(fdpass_put(write_fd, pair[0], NULL, 0), 0);
	(void)close(pair[0]);
	(void)close(write_fd);
	funeral->host_fd = pair[1];
}

/* The host gets LEN bytes and then the end. */
static void
assert_host_gets(struct funeral *funeral, ssize_t len)
{
	assert_true(lost_reply_send(funeral->queue_fd, &funeral->slot, "x"));
	assert_int_equal(fd_read_full(funeral->host_fd, bytes, sizeof(bytes)), len);
	(void)close(funeral->queue_fd);
	(void)close(funeral->host_fd);
}

static void
test_the_supervisor_speaks_where_no_frame_was_under_way(void **state)
{
	struct funeral funeral;

	(void)state;
	begin_funeral(&funeral, SLOT_OPEN, 0);
	assert_host_gets(&funeral, VMM_GUEST_HEADER_LEN + VMM_GUEST_EXIT_LEN);
}

static void
test_it_never_speaks_into_the_middle_of_a_frame(void **state)
{
	struct funeral funeral;

	(void)state;
	begin_funeral(&funeral, SLOT_OPEN, 1);
	assert_host_gets(&funeral, 0);
}

static void
test_it_does_not_say_a_second_last_word(void **state)
{
	struct funeral funeral;

	(void)state;
	begin_funeral(&funeral, SLOT_LAST_SENT, 0);
	assert_host_gets(&funeral, 0);
	/* A last frame is marked before in_frame is cleared. */
	begin_funeral(&funeral, SLOT_LAST_SENT, 1);
	assert_host_gets(&funeral, 0);
}

/* All that the frames of these cases have. */
#define FRAME_LEN ((size_t)VMM_GUEST_HEADER_LEN + VMM_GUEST_EXIT_LEN)

/* A slot whose worker died over its last frame, of which it says that it has LEN bytes. */
static struct slot
make_last(uint8_t reply_style, const void *frame, uint8_t len, uint8_t sent)
{
	struct slot slot = { .phase = SLOT_LAST_SENDING, .reply_style = reply_style };

	slot.last.len = len;
	slot.last.sent = sent;
	memcpy(slot.last.bytes, frame, len < FRAME_LEN ? len : FRAME_LEN);
	return slot;
}

static const uint8_t exit_frame[FRAME_LEN] = { VMM_GUEST_EXIT, 8, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0 };

static void
test_a_last_frame_that_did_not_go_is_sent_by_the_supervisor(void **state)
{
	struct slot slot = make_last(SLOT_REPLY_EXEC, exit_frame, sizeof(exit_frame), 0);

	(void)state;
	assert_int_equal(lost_reply_compose(&slot, "x", bytes, sizeof(bytes)), sizeof(exit_frame));
	assert_memory_equal(bytes, exit_frame, sizeof(exit_frame));
}

static void
test_detached_is_a_last_frame_of_who_was_attached_to_a_program(void **state)
{
	static const uint8_t styles[] = { SLOT_REPLY_EXEC, SLOT_REPLY_ATTACH };
	static const char text[] = "{\"event\":\"detached\",\"offset\":18446744073709551615}";
	const uint8_t len = VMM_GUEST_HEADER_LEN + sizeof(text) - 1;

	(void)state;
	for (size_t i = 0; i < sizeof(styles); i++) {
		struct slot slot = { .phase = SLOT_LAST_SENDING, .reply_style = styles[i] };

		slot.last.len = len;
		frame_header_format(slot.last.bytes, VMM_GUEST_STATUS, sizeof(text) - 1);
		memcpy(slot.last.bytes + VMM_GUEST_HEADER_LEN, text, sizeof(text) - 1);
		assert_int_equal(lost_reply_compose(&slot, "x", bytes, sizeof(bytes)), len);
	}
}

static void
test_of_a_last_frame_that_went_in_part_the_rest_is_sent(void **state)
{
	struct slot slot = make_last(SLOT_REPLY_EXEC, exit_frame, sizeof(exit_frame), 6);

	(void)state;
	assert_int_equal(
	    lost_reply_compose(&slot, "x", bytes, sizeof(bytes)), sizeof(exit_frame) - 6);
	assert_memory_equal(bytes, exit_frame + 6, sizeof(exit_frame) - 6);
	slot.last.sent = sizeof(exit_frame);
	assert_int_equal(lost_reply_compose(&slot, "x", bytes, sizeof(bytes)), 0);
}

static void
test_where_nobody_knows_how_much_went_nothing_is_said(void **state)
{
	struct slot slot = make_last(SLOT_REPLY_EXEC, exit_frame, sizeof(exit_frame), 0);

	(void)state;
	slot.in_frame = 1;
	assert_int_equal(lost_reply_compose(&slot, "x", bytes, sizeof(bytes)), 0);
}

static void
test_an_answer_that_is_too_long_to_be_kept_is_followed_by_an_error(void **state)
{
	struct slot slot = make_last(SLOT_REPLY_FILE, exit_frame, 0, 0);

	(void)state;
	assert_int_equal(lost_reply_compose(&slot, "x", bytes, sizeof(bytes)),
	    VMM_GUEST_HEADER_LEN + strlen("EIO: worker lost"));
	slot = make_last(SLOT_REPLY_EXEC, exit_frame, 0, 0);
	assert_int_equal(lost_reply_compose(&slot, "x", bytes, sizeof(bytes)), 0);
}

/* What a worker that ran wild has written there. */
static void
test_a_record_that_makes_no_sense_is_not_sent(void **state)
{
	static const uint8_t types[] = { VMM_GUEST_STDOUT, VMM_GUEST_STDERR, VMM_GUEST_STATUS, 0,
		0xff, VMM_GUEST_FILE_ACK };
	uint8_t frame[SLOT_LAST_MAX] = { 0 };
	struct slot slot;

	(void)state;
	memcpy(frame, exit_frame, sizeof(exit_frame));
	for (size_t i = 0; i < sizeof(types); i++) {
		frame[0] = types[i];
		slot = make_last(SLOT_REPLY_EXEC, frame, sizeof(exit_frame), 0);
		assert_int_equal(lost_reply_compose(&slot, "x", bytes, sizeof(bytes)), 0);
	}
	/* Of every length but its own, and of every other reply_style. */
	for (unsigned len = 1; len <= UINT8_MAX; len++) {
		if (len == sizeof(exit_frame))
			continue;
		slot = make_last(SLOT_REPLY_EXEC, exit_frame, (uint8_t)len, 0);
		assert_int_equal(lost_reply_compose(&slot, "x", bytes, sizeof(bytes)), 0);
	}
	slot = make_last(SLOT_REPLY_EXEC, exit_frame, sizeof(exit_frame), sizeof(exit_frame) + 1);
	assert_int_equal(lost_reply_compose(&slot, "x", bytes, sizeof(bytes)), 0);
	slot = make_last(SLOT_REPLY_FILE, exit_frame, sizeof(exit_frame), 0);
	assert_int_equal(lost_reply_compose(&slot, "x", bytes, sizeof(bytes)), 0);
	slot = make_last(SLOT_REPLY_NONE, exit_frame, sizeof(exit_frame), 0);
	assert_int_equal(lost_reply_compose(&slot, "x", bytes, sizeof(bytes)), 0);
	memset(&slot, 0xff, sizeof(slot));
	assert_int_equal(lost_reply_compose(&slot, "x", bytes, sizeof(bytes)), 0);
	slot.in_frame = 0;
	assert_int_equal(lost_reply_compose(&slot, "x", bytes, sizeof(bytes)), 0);
	slot.phase = SLOT_LAST_SENDING;
	assert_int_equal(lost_reply_compose(&slot, "x", bytes, sizeof(bytes)), 0);
}

static void
test_the_queue_is_emptied_and_the_last_in_it_is_spoken_to(void **state)
{
	struct funeral funeral;
	int earlier[2];
	int pair[2];
	int write_fd;

	(void)state;
	memset(&funeral, 0, sizeof(funeral));
	funeral.slot.phase = SLOT_OPEN;
	funeral.slot.reply_style = SLOT_REPLY_CONTROL;
	assert_int_equal(fdpass_open(&funeral.queue_fd, &write_fd), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, earlier), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(fdpass_put(write_fd, earlier[0], NULL, 0), 0);
	assert_int_equal(fdpass_put(write_fd, pair[0], NULL, 0), 0);
	(void)close(earlier[0]);
	(void)close(pair[0]);
	(void)close(write_fd);
	funeral.host_fd = pair[1];
	assert_host_gets(&funeral, VMM_GUEST_HEADER_LEN + VMM_GUEST_EXIT_LEN);
	/* The other hears the end, and nothing but that. */
	assert_int_equal(fd_read_full(earlier[1], bytes, sizeof(bytes)), 0);
	(void)close(earlier[1]);
}

static void
test_it_waits_for_no_host(void **state)
{
	static const char full[4096];
	struct funeral funeral;
	int agent_fd;
	int pair[2];
	int write_fd;

	(void)state;
	memset(&funeral, 0, sizeof(funeral));
	funeral.slot.phase = SLOT_OPEN;
	funeral.slot.reply_style = SLOT_REPLY_EXEC;
	assert_int_equal(fdpass_open(&funeral.queue_fd, &write_fd), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	agent_fd = pair[0];
	while (send(agent_fd, full, sizeof(full), MSG_DONTWAIT) > 0)
		continue;
	while (send(agent_fd, full, 1, MSG_DONTWAIT) > 0)
		continue;
	assert_int_equal(fdpass_put(write_fd, agent_fd, NULL, 0), 0);
	/* Comes back though the host reads nothing. */
	assert_true(lost_reply_send(funeral.queue_fd, &funeral.slot, "x"));
	(void)close(agent_fd);
	(void)close(pair[1]);
	(void)close(write_fd);
	/* And there was one connection only. */
	assert_false(lost_reply_send(funeral.queue_fd, &funeral.slot, "x"));
	(void)close(funeral.queue_fd);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_program_ends_with_text_and_exit_125),
		cmocka_unit_test(test_a_control_request_gets_exit_minus_1_alone),
		cmocka_unit_test(test_a_host_whose_request_was_not_read_gets_exit_125_alone),
		cmocka_unit_test(test_who_was_attached_is_told_so_and_gets_no_exit),
		cmocka_unit_test(test_a_file_request_gets_eio),
		cmocka_unit_test(test_nothing_is_said_where_no_port_is_known),
		cmocka_unit_test(test_answers_that_were_held_back_come_before_the_error),
		cmocka_unit_test(test_a_long_cause_is_cut_and_the_frames_stay_whole),
		cmocka_unit_test(test_the_supervisor_speaks_where_no_frame_was_under_way),
		cmocka_unit_test(test_it_never_speaks_into_the_middle_of_a_frame),
		cmocka_unit_test(test_it_does_not_say_a_second_last_word),
		cmocka_unit_test(test_a_last_frame_that_did_not_go_is_sent_by_the_supervisor),
		cmocka_unit_test(test_detached_is_a_last_frame_of_who_was_attached_to_a_program),
		cmocka_unit_test(test_of_a_last_frame_that_went_in_part_the_rest_is_sent),
		cmocka_unit_test(test_where_nobody_knows_how_much_went_nothing_is_said),
		cmocka_unit_test(
		    test_an_answer_that_is_too_long_to_be_kept_is_followed_by_an_error),
		cmocka_unit_test(test_a_record_that_makes_no_sense_is_not_sent),
		cmocka_unit_test(test_the_queue_is_emptied_and_the_last_in_it_is_spoken_to),
		cmocka_unit_test(test_it_waits_for_no_host),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
