/*
 * Between two requests of a connection: when the next one is begun, and when the worker is
 * given back. By a scoreboard of two workers, of which this is one.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>
#include <cmocka.h>

#include "platform/clock.h"
#include "platform/fd.h"
#include "platform/watchdog.h"
#include "session/rest.h"
#include "session/stop.h"
#include "worker/next_frame.h"

#define QUIESCE 7
#define LONG_MS 20000 /* longer than anything here takes */
#define SHORT_MS 200

#define REQUEST "{\"path\":\"/\"}"

static struct worker_settings settings = { .first_frame_timeout_ms = LONG_MS };
static struct scoreboard *board;
static struct session session;
static int host_fd = -1;
static int comer_fds[2]; /* the second is readable while somebody has connected */

static int
begin(void **state)
{
	int pair[2];

	(void)state;
	if (board == NULL) {
		if (scoreboard_new(2, 0, &board) < 0)
			return -1;
		stop_init();
		rest_init(board, 1, -1);
	}
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0 || pipe(comer_fds) < 0)
		return -1;
	host_fd = pair[0];
	session = (struct session){ .slot = &board->slots[1], .slot_index = 1, .board = board };
	conn_init(&session.conn, pair[1], session.slot, board, LONG_MS);
	conn_set_room(&session.conn, CONN_ROOM);
	atomic_store(&session.slot->phase, SLOT_LAST_SENT);
	atomic_store(&board->slots[0].phase, SLOT_OPEN);
	atomic_store(&board->slots[0].worker_pid, getpid());
	quiesce_set_phase(&board->quiesce, QUIESCE, QUIESCE_NONE);
	return fd_set_nonblock(pair[1], true);
}

static int
end(void **state)
{
	(void)state;
	rest_end();
	conn_close(&session.conn);
	fd_close(&host_fd);
	fd_close(&comer_fds[0]);
	fd_close(&comer_fds[1]);
	return 0;
}

static void
host_sends(uint8_t type, const char *payload, size_t announced)
{
	uint8_t header[VMM_GUEST_HEADER_LEN];

	frame_header_format(header, type, (uint32_t)announced);
	assert_int_equal(fd_write_full(host_fd, header, sizeof(header)), 0);
	assert_int_equal(fd_write_full(host_fd, payload, strlen(payload)), 0);
}

static void
host_asks(void)
{
	host_sends(VMM_GUEST_FILE_STAT_REQ, REQUEST, strlen(REQUEST));
}

/* The first byte of a request, and no more. */
static void
host_begins_to_ask(void)
{
	const uint8_t type = VMM_GUEST_FILE_STAT_REQ;

	assert_int_equal(fd_write_full(host_fd, &type, sizeof(type)), 0);
}

static void
somebody_connects(void)
{
	assert_int_equal(write(comer_fds[1], "", 1), 1);
}

/* All workers but this one, which is the only other. */
static void
others_are(enum slot_phase phase)
{
	atomic_store(&board->slots[0].phase, (uint8_t)phase);
}

static int
read_next(bool *is_last, struct first_frame *frame)
{
	struct next_frame next = { .listeners_fd = comer_fds[0] };
	int r = next_frame_read(&session, &settings, &next, frame);

	*is_last = next.is_last;
	return r;
}

static void
assert_goes_on(bool with_others)
{
	struct first_frame frame;
	bool is_last;

	assert_int_equal(read_next(&is_last, &frame), 0);
	assert_int_equal(is_last, !with_others);
	assert_int_equal(frame.type, VMM_GUEST_FILE_STAT_REQ);
	assert_true(frame.is_file_port);
	assert_int_equal(frame.len, strlen(REQUEST));
	assert_memory_equal(frame.payload, REQUEST, frame.len);
	assert_int_equal(atomic_load(&session.slot->phase), SLOT_OPEN);
}

/* Nothing was begun, and nothing is owed. */
static void
assert_is_given_back(void)
{
	struct first_frame frame;
	bool is_last;

	assert_int_equal(read_next(&is_last, &frame), -EAGAIN);
	assert_false(frame.is_begun);
	assert_int_equal(atomic_load(&session.slot->phase), SLOT_LAST_SENT);
}

static void
test_the_next_request_is_read_and_owed_an_answer(void **state)
{
	(void)state;
	host_asks();
	assert_goes_on(true);
}

static void
test_what_stands_in_the_buffer_is_read_too(void **state)
{
	(void)state;
	host_asks();
	host_asks();
	assert_goes_on(true);
	assert_goes_on(true);
}

static void
test_one_that_has_served_enough_goes_on_with_all_that_has_come(void **state)
{
	struct next_frame next = { .listeners_fd = comer_fds[0], .is_due = true };
	struct first_frame frame;

	(void)state;
	host_asks();
	host_asks();
	/* The first receives both. */
	for (int i = 0; i < 2; i++) {
		assert_int_equal(next_frame_read(&session, &settings, &next, &frame), 0);
		assert_false(next.is_last);
	}
	assert_int_equal(next_frame_read(&session, &settings, &next, &frame), -EAGAIN);
}

static void
test_silence_gives_it_back(void **state)
{
	(void)state;
	assert_is_given_back();
}

/* A host may leave no room for an answer for as long as a file request may take. */
static void
test_while_nothing_is_owed_no_watchdog_runs(void **state)
{
	int CLEANUP_FD timer_fd = watchdog_open();
	struct itimerspec left;

	(void)state;
	assert_true(timer_fd >= 0);
	watchdog_init(timer_fd);
	watchdog_set(LONG_MS);
	assert_is_given_back();
	watchdog_init(-1);
	assert_int_equal(timerfd_gettime(timer_fd, &left), 0);
	assert_true(left.it_value.tv_sec == 0 && left.it_value.tv_nsec == 0);
}

static void
test_a_request_that_has_begun_is_waited_for(void **state)
{
	struct first_frame frame;
	bool is_last;

	(void)state;
	settings.first_frame_timeout_ms = SHORT_MS;
	host_begins_to_ask();
	assert_int_equal(read_next(&is_last, &frame), -ETIMEDOUT);
	settings.first_frame_timeout_ms = LONG_MS;
	assert_true(frame.is_begun);
	assert_int_equal(frame.type, VMM_GUEST_FILE_STAT_REQ);
	assert_int_equal(atomic_load(&session.slot->phase), SLOT_OPEN);
}

static void
test_somebody_who_comes_is_another_s_while_one_is_idle(void **state)
{
	(void)state;
	others_are(SLOT_IDLE);
	somebody_connects();
	host_asks();
	assert_goes_on(true);
}

static void
test_nobody_who_comes_is_nobody_to_leave_for(void **state)
{
	(void)state;
	others_are(SLOT_OPEN);
	host_asks();
	assert_goes_on(true);
}

/* ---- why it is given back ------------------------------------------------------- */

static void
others_wait(void)
{
	others_are(SLOT_OPEN);
	somebody_connects();
}

static void
guest_is_quiesced(void)
{
	quiesce_set_phase(&board->quiesce, QUIESCE, QUIESCE_RESTING);
}

static void
nothing(void)
{
}

/* Nobody can take it back. */
static void
worker_is_told_to_leave(void)
{
	if (!stop_is_requested())
		assert_int_equal(raise(SIGHUP), 0);
}

static const struct reason {
	void (*happens)(void);
	bool is_served_up;
} reasons[] = {
	{ others_wait, false },
	{ guest_is_quiesced, false },
	{ nothing, true },
};

static const struct reason told_to_leave = { worker_is_told_to_leave, false };

/* What HOST does, then that there is this REASON, then EXPECTED of the next request. */
static void
assert_left(const struct reason *reason, void (*host)(void), int expected)
{
	struct first_frame frame;
	struct next_frame next = { .is_last = reason->is_served_up };

	assert_int_equal(begin(NULL), 0);
	reason->happens();
	host();
	next.listeners_fd = comer_fds[0];
	assert_int_equal(next_frame_read(&session, &settings, &next, &frame), expected);
	assert_true(next.is_last);
	assert_int_equal(
	    atomic_load(&session.slot->phase), expected == 0 ? SLOT_OPEN : SLOT_LAST_SENT);
	assert_true(expected == 0 || !frame.is_begun);
	(void)end(NULL);
}

static void
assert_left_for_each_reason(void (*host)(void), int expected)
{
	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
		assert_left(&reasons[i], host, expected);
}

/* Requests that were sent ahead, up to the one after which the worker is given back. */
static unsigned
count_until_left(const struct reason *reason)
{
	struct next_frame next = { .listeners_fd = -1 };
	struct first_frame frame;
	unsigned count = 0;

	assert_int_equal(begin(NULL), 0);
	for (int i = 0; i < 100; i++)
		host_asks();
	next.listeners_fd = comer_fds[0];
	assert_int_equal(next_frame_read(&session, &settings, &next, &frame), 0);
	reason->happens();
	while (!next.is_last) {
		atomic_store(&session.slot->phase, SLOT_LAST_SENT);
		assert_int_equal(next_frame_read(&session, &settings, &next, &frame), 0);
		count++;
	}
	(void)end(NULL);
	return count;
}

static void
test_it_is_given_back_soon_though_requests_were_sent_ahead(void **state)
{
	(void)state;
	assert_in_range(count_until_left(&reasons[0]), 1, 33);
	/* That costs no look. */
	assert_int_equal(count_until_left(&reasons[1]), 1);
}

static void
test_whatever_the_reason_it_is_given_back_where_nothing_is_there(void **state)
{
	(void)state;
	assert_left_for_each_reason(nothing, -EAGAIN);
}

static void
test_whatever_the_reason_what_is_there_whole_is_served(void **state)
{
	(void)state;
	assert_left_for_each_reason(host_asks, 0);
}

static void
test_whatever_the_reason_what_has_only_begun_is_not(void **state)
{
	(void)state;
	assert_left_for_each_reason(host_begins_to_ask, -EAGAIN);
}

static void
test_so_too_where_the_worker_is_told_to_leave(void **state)
{
	(void)state;
	assert_left(&told_to_leave, host_asks, 0);
	assert_left(&told_to_leave, host_begins_to_ask, -EAGAIN);
	assert_left(&told_to_leave, nothing, -EAGAIN);
}

/* ---- what makes it impossible --------------------------------------------------- */

static void
test_where_the_end_of_an_answer_may_be_unknown_nothing_is_begun(void **state)
{
	(void)state;
	/* As on vsock, when the first bytes have gone. */
	session.conn.room_is_renewed = false;
	session.conn.room = 64;
	host_asks();
	assert_is_given_back();
}

static void
test_a_host_that_leaves_no_room_has_nothing_begun(void **state)
{
	static const uint8_t zeros[4096];

	(void)state;
	session.conn.stall_ms = SHORT_MS;
	while (send(session.conn.fd, zeros, sizeof(zeros), MSG_DONTWAIT) > 0)
		;
	host_asks();
	assert_is_given_back();
}

static void
test_the_payload_of_done_is_no_request(void **state)
{
	struct frame_header header;

	(void)state;
	host_sends(VMM_GUEST_FILE_DONE, "more", 4);
	assert_int_equal(conn_next_frame(&session.conn, CLOCK_NEVER, &header), 0);
	host_asks();
	assert_goes_on(true);
}

static void
test_a_payload_of_done_that_does_not_come_gives_it_back(void **state)
{
	struct frame_header header;

	(void)state;
	host_sends(VMM_GUEST_FILE_DONE, "mo", 4);
	assert_int_equal(conn_next_frame(&session.conn, CLOCK_NEVER, &header), 0);
	assert_is_given_back();
}

static void
test_a_host_that_goes_has_nothing_begun(void **state)
{
	struct first_frame frame;
	bool is_last;

	(void)state;
	fd_close(&host_fd);
	assert_int_equal(read_next(&is_last, &frame), -EPIPE);
	assert_false(frame.is_begun);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
	const struct CMUnitTest tests[] = {
		TEST(test_the_next_request_is_read_and_owed_an_answer),
		TEST(test_what_stands_in_the_buffer_is_read_too),
		TEST(test_one_that_has_served_enough_goes_on_with_all_that_has_come),
		TEST(test_silence_gives_it_back),
		TEST(test_while_nothing_is_owed_no_watchdog_runs),
		TEST(test_a_request_that_has_begun_is_waited_for),
		TEST(test_somebody_who_comes_is_another_s_while_one_is_idle),
		TEST(test_nobody_who_comes_is_nobody_to_leave_for),
		TEST(test_where_the_end_of_an_answer_may_be_unknown_nothing_is_begun),
		TEST(test_a_host_that_leaves_no_room_has_nothing_begun),
		TEST(test_the_payload_of_done_is_no_request),
		TEST(test_a_payload_of_done_that_does_not_come_gives_it_back),
		TEST(test_a_host_that_goes_has_nothing_begun),
		cmocka_unit_test(test_whatever_the_reason_it_is_given_back_where_nothing_is_there),
		cmocka_unit_test(test_whatever_the_reason_what_is_there_whole_is_served),
		cmocka_unit_test(test_whatever_the_reason_what_has_only_begun_is_not),
		cmocka_unit_test(test_it_is_given_back_soon_though_requests_were_sent_ahead),
		/* The last: this process stays told to leave. */
		cmocka_unit_test(test_so_too_where_the_worker_is_told_to_leave),
	};

	return cmocka_run_group_tests_name("next_frame", tests, NULL, NULL);
}
