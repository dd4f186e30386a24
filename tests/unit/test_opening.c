/*
 * A connection from its worker's first look at it to its first frame. The test is the host, and
 * the supervisor; the worker is the only one.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "platform/clock.h"
#include "platform/fd.h"
#include "platform/fdpass.h"
#include "session/rest.h"
#include "session/stop.h"
#include "shared/parking.h"
#include "worker/opening.h"

#define LONG_MS 3600000 /* longer than anything here takes */
#define LEFT_MS 1800000 /* and this */

static const struct worker_settings settings = {
	.exec_port = 52,
	.file_port = 53,
	.first_frame_timeout_ms = LONG_MS,
};
static struct worker_options options = { .settings = &settings, .queue_write_fd = -1 };
static struct session session;
static struct scoreboard *board;
static int host_fd = -1;
static int queue_fd = -1; /* the supervisor's end */

static int
begin(void **state)
{
	int pair[2];

	(void)state;
	if (board == NULL) {
		if (scoreboard_new(1, 0, &board) < 0)
			return -1;
		stop_init();
		rest_init(board, 0, -1);
	}
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0 ||
	    fdpass_open(&queue_fd, &options.parking_fd) < 0)
		return -1;
	host_fd = pair[0];
	session = (struct session){ .slot = &board->slots[0], .board = board, .duplicates_fd = -1 };
	conn_init(&session.conn, pair[1], session.slot, board, LONG_MS);
	atomic_store(&session.slot->phase, SLOT_ACCEPTED);
	atomic_store(&session.slot->started_ms, clock_mono_ms());
	return fd_set_nonblock(pair[1], true);
}

static int
end(void **state)
{
	(void)state;
	conn_close(&session.conn);
	fd_close(&host_fd);
	fd_close(&queue_fd);
	fd_close(&options.parking_fd);
	return 0;
}

static int
read_opening(uint64_t left_ms)
{
	const struct opening opening = { .port = WORKER_PORT_BY_HANDSHAKE, .left_ms = left_ms };
	struct first_frame frame;

	return opening_read(&session, &options, &opening, &frame);
}

static void
test_what_has_said_nothing_is_parked_with_what_is_left_of_its_time(void **state)
{
	struct opening opening;

	(void)state;
	assert_int_equal(read_opening(LEFT_MS), -EAGAIN);
	assert_int_equal(opening_take_parked(queue_fd, &opening), 0);
	fd_close(&opening.fd);
	assert_in_range(opening.left_ms, 1, LEFT_MS);
}

/* It would be waited for. */
static void
test_a_handshake_gives_no_time_for_what_follows(void **state)
{
	char answer[6];

	(void)state;
	assert_int_equal(write(host_fd, "CONNECT 52\n", 11), 11);
	assert_int_equal(read_opening(0), -ETIMEDOUT);
	assert_int_equal(read(host_fd, answer, sizeof(answer)), sizeof(answer));
	assert_memory_equal(answer, "OK 52\n", sizeof(answer));
}

static void
test_a_frame_that_is_there_is_taken_though_no_time_is_left(void **state)
{
	static const char frame[] = "CONNECT 52\n\x24\0\0\0";

	(void)state;
	assert_int_equal(write(host_fd, frame, 16), 16);
	assert_int_equal(read_opening(0), 0);
}

/* Also where the quiesce was under way before there was a first look. */
static void
test_while_the_guest_is_quiesced_no_time_runs_out(void **state)
{
	const struct quiesce_order order = { 0 };
	struct opening opening;
	uint64_t number;
	int r;

	(void)state;
	assert_int_equal(quiesce_claim(&board->quiesce, 0, &order, &number), 0);
	r = read_opening(0);
	quiesce_set_phase(&board->quiesce, number, QUIESCE_NONE);
	assert_int_equal(r, -EAGAIN);
	assert_int_equal(opening_take_parked(queue_fd, &opening), 0);
	fd_close(&opening.fd);
	assert_in_range(opening.left_ms, LONG_MS - LEFT_MS, LONG_MS);
}

#define EACH(test) cmocka_unit_test_setup_teardown(test, begin, end)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		EACH(test_what_has_said_nothing_is_parked_with_what_is_left_of_its_time),
		EACH(test_a_handshake_gives_no_time_for_what_follows),
		EACH(test_a_frame_that_is_there_is_taken_though_no_time_is_left),
		EACH(test_while_the_guest_is_quiesced_no_time_runs_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
