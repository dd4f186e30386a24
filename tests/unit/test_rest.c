/*
 * A worker that comes to rest and goes on, by a scoreboard of its own. The part of the
 * supervisor is a child's.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "platform/bell.h"
#include "platform/clock.h"
#include "platform/fd.h"
#include "platform/watchdog.h"
#include "session/conn.h"
#include "session/rest.h"
#include "session/stop.h"

#define NUMBER 5
#define HELD_MS 300
#define SOON_MS 20000

static struct scoreboard *board;
static struct slot *slot;
static struct conn conn;
static int host_fd = -1;
static int timer_fd = -1; /* of a watchdog */

static int
begin(void **state)
{
	int pair[2];

	(void)state;
	if (board == NULL) {
		if (scoreboard_new(2, 0, &board) < 0)
			return -1;
		stop_init();
		slot = &board->slots[1];
		rest_init(board, 1, -1);
	}
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return -1;
	host_fd = pair[0];
	conn_init(&conn, pair[1], slot, board, SOON_MS);
	board->quiesce.order.within_ms = SOON_MS;
	quiesce_set_phase(&board->quiesce, NUMBER, QUIESCE_NONE);
	bell_silence(board->quiesce_bell_fd);
	return fd_set_nonblock(pair[1], true);
}

static int
end(void **state)
{
	(void)state;
	rest_end();
	conn_close(&conn);
	fd_close(&host_fd);
	return 0;
}

static void
raise_it(void)
{
	quiesce_set_phase(&board->quiesce, NUMBER, QUIESCE_RESTING);
}

static void
lower_it(void)
{
	quiesce_end(&board->quiesce, NUMBER, QUIESCE_THAW_HOST);
}

/* In a child: waits until the worker rests, does WHAT to it, and ends. */
static pid_t
fork_other(void (*what)(pid_t worker))
{
	struct pollfd bell = { .fd = board->quiesce_bell_fd, .events = POLLIN };
	pid_t worker = getpid();
	pid_t pid = fork();

	if (pid != 0)
		return pid;
	if (poll(&bell, 1, SOON_MS) == 1 && atomic_load(&slot->rests) == NUMBER)
		what(worker);
	_exit(atomic_load(&slot->rests) == NUMBER ? 0 : 1);
}

static void
await(pid_t pid)
{
	int status = -1;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void
thaw_later(pid_t worker)
{
	clock_sleep_ms(HELD_MS);
	lower_it();
	(void)kill(worker, SIGUSR1);
}

static bool
watchdog_is_set(void)
{
	struct itimerspec left;

	assert_int_equal(timerfd_gettime(timer_fd, &left), 0);
	return left.it_value.tv_sec > 0 || left.it_value.tv_nsec > 0;
}

static void
thaw_when_the_watchdog_sleeps(pid_t worker)
{
	uint64_t deadline_ms = clock_mono_ms() + SOON_MS;
	bool is_set = true;

	while (is_set && clock_mono_ms() < deadline_ms) {
		clock_sleep_ms(1);
		is_set = watchdog_is_set();
	}
	thaw_later(worker);
	_exit(is_set ? 1 : 0);
}

static void
thaw_and_wake_nobody(pid_t worker)
{
	(void)worker;
	lower_it();
}

static void
wake(pid_t worker)
{
	(void)kill(worker, SIGUSR1);
}

static void
hang_up_and_thaw(pid_t worker)
{
	(void)shutdown(host_fd, SHUT_RDWR);
	thaw_later(worker);
}

static void
cut_off_and_thaw(pid_t worker)
{
	fd_close(&host_fd);
	thaw_later(worker);
}

/* ---- rest -------------------------------------------------------------------- */

static void
test_who_has_not_joined_does_not_rest(void **state)
{
	(void)state;
	raise_it();
	assert_false(rest_is_due());
	rest_point();
	rest_join(&conn);
	assert_true(rest_is_due());
	rest_leave();
	assert_false(rest_is_due());
	rest_point();
	assert_int_equal(atomic_load(&slot->has_to_rest), 1);
	rest_end();
	assert_int_equal(atomic_load(&slot->has_to_rest), 0);
}

static void
test_a_session_rests_until_the_thaw_and_says_so(void **state)
{
	pid_t other;

	(void)state;
	rest_join(&conn);
	assert_int_equal(atomic_load(&slot->has_to_rest), 1);
	assert_false(rest_is_due());
	rest_point();
	raise_it();
	other = fork_other(thaw_later);
	rest_point();
	assert_false(rest_is_due());
	assert_int_equal(quiesce_phase(&board->quiesce), QUIESCE_NONE);
	assert_int_equal(atomic_load(&slot->rests), 0);
	(void)waitpid(other, NULL, 0);
}

static void
test_a_lost_wake_up_holds_it_up_for_a_moment_only(void **state)
{
	pid_t other;

	(void)state;
	rest_join(&conn);
	raise_it();
	other = fork_other(thaw_and_wake_nobody);
	rest_point();
	assert_int_equal(quiesce_phase(&board->quiesce), QUIESCE_NONE);
	(void)waitpid(other, NULL, 0);
}

static void
test_the_clock_of_deadlines_stands_still(void **state)
{
	uint64_t mono_ms = clock_mono_ms();
	uint64_t shared_ms = clock_shared_ms();
	uint64_t rested_ms;
	pid_t other;

	(void)state;
	rest_join(&conn);
	raise_it();
	other = fork_other(thaw_later);
	rest_point();
	(void)waitpid(other, NULL, 0);
	rested_ms = (clock_shared_ms() - shared_ms) - (clock_mono_ms() - mono_ms);
	assert_true(clock_shared_ms() - shared_ms >= HELD_MS);
	assert_true(rested_ms >= HELD_MS - 10);
	/* For the next session it is the time of all. */
	rest_end();
	assert_true(clock_mono_ms() >= shared_ms + HELD_MS);
}

static void
test_the_watchdog_sleeps_meanwhile(void **state)
{
	pid_t other;

	(void)state;
	timer_fd = watchdog_open();
	watchdog_init(timer_fd);
	watchdog_set(10 * SOON_MS);
	rest_join(&conn);
	raise_it();
	assert_true(watchdog_is_set());
	other = fork_other(thaw_when_the_watchdog_sleeps);
	rest_point();
	await(other);
	assert_true(watchdog_is_set());
	watchdog_set(0);
	watchdog_init(-1);
	fd_close(&timer_fd);
}

static void
test_in_the_middle_of_a_frame_nothing_is_done(void **state)
{
	size_t len = VMM_GUEST_DATA_MAX;

	(void)state;
	rest_join(&conn);
	raise_it();
	memset(conn_tx_buffer(), 'x', len);
	conn_begin_push(&conn, VMM_GUEST_STDOUT, len, false);
	assert_int_equal(conn_push(&conn), -EAGAIN);
	assert_true(conn_is_in_frame(&conn));
	rest_point();
	assert_int_equal(atomic_load(&slot->rests), 0);
	/* One that has failed does not go to its end. */
	fd_close(&host_fd);
	assert_int_equal(conn_push(&conn), -EPIPE);
	assert_false(conn_is_in_frame(&conn));
}

static void
test_who_looks_at_something_is_woken_at_rest(void **state)
{
	pid_t other;

	(void)state;
	rest_join(&conn);
	raise_it();
	other = fork_other(wake);
	assert_true(rest_turn());
	await(other);
	assert_int_equal(atomic_load(&slot->rests), NUMBER);
	lower_it();
	assert_false(rest_turn());
	assert_int_equal(atomic_load(&slot->rests), 0);
}

static void
test_a_host_that_goes_ends_no_rest_and_costs_no_time(void **state)
{
	pid_t other;

	(void)state;
	rest_join(&conn);
	raise_it();
	other = fork_other(hang_up_and_thaw);
	rest_point();
	assert_int_equal(quiesce_phase(&board->quiesce), QUIESCE_NONE);
	(void)waitpid(other, NULL, 0);
}

/* Which file the connection's descriptor stands for. */
static ino_t
conn_file(void)
{
	struct stat found;

	assert_int_equal(fstat(conn_fd(&conn), &found), 0);
	return found.st_ino;
}

/* Rests while another does WHAT, who has the only other end. */
static void
rest_while(void (*what)(pid_t worker))
{
	pid_t other;

	rest_join(&conn);
	raise_it();
	other = fork_other(what);
	fd_close(&host_fd);
	rest_point();
	assert_int_equal(quiesce_phase(&board->quiesce), QUIESCE_NONE);
	(void)waitpid(other, NULL, 0);
}

/* As a restore does it; here the host's end is closed with bytes unread. */
static void
test_a_connection_that_was_cut_off_is_closed_while_we_rest(void **state)
{
	struct frame_header header;
	ino_t before = conn_file();

	(void)state;
	assert_int_equal(conn_send(&conn, VMM_GUEST_STDOUT, "x", 1), 0);
	rest_while(cut_off_and_thaw);
	assert_int_not_equal(conn_file(), before);
	assert_int_equal(fcntl(conn_fd(&conn), F_GETFD), FD_CLOEXEC);
	assert_int_equal(conn_next_frame(&conn, CLOCK_NEVER, &header), -EPIPE);
}

static void
test_what_a_host_had_sent_before_it_went_is_read_after_the_rest(void **state)
{
	struct frame_header header;
	ino_t before = conn_file();

	(void)state;
	assert_int_equal(write(host_fd, "\x04\0\0\0", 5), 5);
	rest_while(cut_off_and_thaw);
	assert_int_equal(conn_file(), before);
	assert_int_equal(conn_next_frame(&conn, CLOCK_NEVER, &header), 0);
	assert_int_equal(header.type, VMM_GUEST_EOF);
	assert_int_equal(conn_next_frame(&conn, CLOCK_NEVER, &header), -EPIPE);
}

/* In a child, as it is told to stop for good. */
static void
test_to_be_told_to_stop_ends_it_and_the_wait_behind_it(void **state)
{
	pid_t pid = fork();

	(void)state;
	if (pid == 0) {
		sigset_t pending;

		rest_join(&conn);
		raise_it();
		(void)kill(getpid(), SIGTERM);
		rest_point();
		(void)sigpending(&pending);
		_exit(stop_is_now() && rest_is_due_now() && !rest_is_due() &&
			      sigismember(&pending, SIGTERM) == 1
			  ? 0
			  : 1);
	}
	await(pid);
}

/* ---- requests that wait -------------------------------------------------------- */

static void
test_a_request_is_admitted_at_once_where_nothing_is_quiesced(void **state)
{
	(void)state;
	assert_int_equal(rest_admit(&conn), 0);
	assert_int_equal(atomic_load(&slot->has_to_rest), 1);
	assert_int_equal(atomic_load(&slot->rests), 0);
}

static void
test_a_request_waits_for_the_thaw_at_rest(void **state)
{
	pid_t other;

	(void)state;
	raise_it();
	other = fork_other(thaw_later);
	assert_int_equal(rest_admit(&conn), 0);
	assert_int_equal(quiesce_phase(&board->quiesce), QUIESCE_NONE);
	assert_int_equal(atomic_load(&slot->has_to_rest), 1);
	(void)waitpid(other, NULL, 0);
}

static void
test_a_request_does_not_wait_for_longer_than_the_quiesce_might_take(void **state)
{
	(void)state;
	raise_it();
	board->quiesce.order.within_ms = 50;
	assert_int_equal(rest_admit(&conn), -ETIMEDOUT);
	assert_int_equal(atomic_load(&slot->has_to_rest), 0);
	assert_int_equal(atomic_load(&slot->rests), 0);
	assert_false(rest_is_due());
}

static void
test_a_request_does_not_wait_for_a_host_that_has_gone(void **state)
{
	(void)state;
	raise_it();
	fd_close(&host_fd);
	assert_int_equal(rest_admit(&conn), -EPIPE);
	assert_int_equal(atomic_load(&slot->has_to_rest), 0);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
	const struct CMUnitTest tests[] = {
		TEST(test_who_has_not_joined_does_not_rest),
		TEST(test_a_session_rests_until_the_thaw_and_says_so),
		TEST(test_a_lost_wake_up_holds_it_up_for_a_moment_only),
		TEST(test_the_clock_of_deadlines_stands_still),
		TEST(test_the_watchdog_sleeps_meanwhile),
		TEST(test_in_the_middle_of_a_frame_nothing_is_done),
		TEST(test_who_looks_at_something_is_woken_at_rest),
		TEST(test_a_host_that_goes_ends_no_rest_and_costs_no_time),
		TEST(test_a_connection_that_was_cut_off_is_closed_while_we_rest),
		TEST(test_what_a_host_had_sent_before_it_went_is_read_after_the_rest),
		TEST(test_to_be_told_to_stop_ends_it_and_the_wait_behind_it),
		TEST(test_a_request_is_admitted_at_once_where_nothing_is_quiesced),
		TEST(test_a_request_waits_for_the_thaw_at_rest),
		TEST(test_a_request_does_not_wait_for_longer_than_the_quiesce_might_take),
		TEST(test_a_request_does_not_wait_for_a_host_that_has_gone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
