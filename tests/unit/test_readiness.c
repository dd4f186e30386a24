/*
 * Who is told that the agent serves, and when that is tried again. The clock and
 * the network are this file's: it stands in for platform/clock.c and dial.c.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "platform/clock.h"
#include "platform/dial.h"
#include "supervisor/own_fd.h"
#include "supervisor/readiness.h"

#define MINUTE_MS 60000

static const struct address_port host = { .cid = 2, .port = 51 };
static uint64_t now_ms;
static int begin_error; /* of the next calls of dial_begin() */
static int result;	/* of dial_result() */
static int begun;
static int begun_unix;
static int peer_fd = -1; /* of the last one that was begun */

uint64_t
clock_mono_ms(void)
{
	return now_ms;
}

uint64_t
clock_mono_us(void)
{
	return now_ms * 1000;
}

int64_t
clock_wall_ms(void)
{
	return 0;
}

int
clock_set_wall(int64_t seconds, uint32_t nanoseconds)
{
	(void)seconds;
	(void)nanoseconds;
	return 0;
}

int
clock_poll_timeout(uint64_t from_ms, uint64_t deadline_ms)
{
	(void)from_ms;
	(void)deadline_ms;
	return 0;
}

int
dial_begin(const struct address_port *to, int *ret_fd)
{
	int pair[2];

	begun++;
	assert_int_equal(to->port, 51);
	if (begin_error != 0)
		return begin_error;
	assert_int_equal(
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
	*ret_fd = pair[0];
	if (peer_fd >= 0)
		(void)close(peer_fd);
	peer_fd = pair[1];
	return 0;
}

int
dial_begin_unix(const char *path, uint32_t port, int *ret_fd)
{
	const struct address_port to = { .cid = 2, .port = port };

	assert_string_equal(path, "/vm/vsock");
	begun_unix++;
	return dial_begin(&to, ret_fd);
}

int
dial_result(int fd)
{
	(void)fd;
	return result;
}

int
dial_open(const struct address *address, uint32_t port, int timeout_ms, int *ret_fd)
{
	(void)address;
	(void)port;
	(void)timeout_ms;
	(void)ret_fd;
	return -ENOSYS;
}

int
own_fd_hide(int fd)
{
	return fd;
}

static struct readiness readiness;

static int
setup(void **state)
{
	(void)state;
	now_ms = 1000;
	begin_error = result = begun = begun_unix = 0;
	readiness_init(&readiness, NULL);
	return 0;
}

static const char *
heard(void)
{
	static char text[16];
	ssize_t n = recv(peer_fd, text, sizeof(text) - 1, MSG_DONTWAIT);

	text[n > 0 ? n : 0] = '\0';
	return text;
}

static void
test_a_host_that_listens_is_told_once(void **state)
{
	(void)state;
	readiness_dial(&readiness, &host, "R");
	assert_true(readiness_step(&readiness) == CLOCK_NEVER);
	assert_string_equal(heard(), "R");
	assert_int_equal(begun, 1);
	/* The end of file: it was closed. */
	assert_int_equal(recv(peer_fd, (char[1]){ 0 }, 1, MSG_DONTWAIT), 0);
}

static void
test_a_host_where_nobody_listens_is_not_asked_again(void **state)
{
	(void)state;
	result = -ECONNRESET;
	readiness_dial(&readiness, &host, "R");
	assert_true(readiness_step(&readiness) == CLOCK_NEVER);
	now_ms += MINUTE_MS;
	assert_true(readiness_step(&readiness) == CLOCK_NEVER);
	assert_int_equal(begun, 1);
}

/* What the kernel says while there is no address family, no transport, or no device. */
static void
test_a_transport_that_is_not_there_yet_is_tried_again_until_it_is(void **state)
{
	static const int errors[] = { -EAFNOSUPPORT, -ENODEV, -ENETUNREACH, -EADDRNOTAVAIL };

	(void)state;
	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		(void)setup(NULL);
		begin_error = errors[i];
		readiness_dial(&readiness, &host, "R");
		for (int tries = 2; tries < 30; tries++) {
			uint64_t next = readiness_step(&readiness);

			assert_in_range(next, now_ms + 1, now_ms + READINESS_RETRY_MAX_MS);
			now_ms = next;
			(void)readiness_step(&readiness);
			assert_int_equal(begun, tries);
		}
		begin_error = 0;
		now_ms = readiness_step(&readiness);
		(void)readiness_step(&readiness);
		assert_true(readiness_step(&readiness) == CLOCK_NEVER);
		assert_string_equal(heard(), "R");
	}
}

static void
test_a_transport_that_goes_while_it_is_asked_is_tried_again(void **state)
{
	(void)state;
	result = -ENODEV;
	readiness_dial(&readiness, &host, "R");
	now_ms = readiness_step(&readiness);
	assert_true(now_ms != CLOCK_NEVER);
	result = 0;
	(void)readiness_step(&readiness);
	assert_true(readiness_step(&readiness) == CLOCK_NEVER);
	assert_string_equal(heard(), "R");
}

static void
test_the_pauses_grow_to_their_end_and_no_further(void **state)
{
	uint64_t last = 0;

	(void)state;
	begin_error = -ENODEV;
	readiness_dial(&readiness, &host, "R");
	for (int i = 0; i < 40; i++) {
		uint64_t next = readiness_step(&readiness);

		assert_true(next - now_ms >= last);
		last = next - now_ms;
		now_ms = next;
	}
	assert_int_equal(last, READINESS_RETRY_MAX_MS);
}

static void
test_two_hosts_are_told_each_in_its_own_time(void **state)
{
	(void)state;
	begin_error = -ENODEV;
	readiness_dial(&readiness, &host, "R");
	begin_error = 0;
	readiness_dial(&readiness, &host, "READY=1");
	now_ms = readiness_step(&readiness);
	assert_string_equal(heard(), "READY=1");
	(void)readiness_step(&readiness);
	(void)readiness_step(&readiness);
	assert_string_equal(heard(), "R");
	assert_int_equal(begun, 3);
}

static void
test_a_host_that_does_not_answer_is_given_up(void **state)
{
	struct pollfd polls[READINESS_DIALS];
	char filler[4096] = { 0 };

	(void)state;
	readiness_dial(&readiness, &host, "R");
	assert_int_equal(readiness_list(&readiness, polls), 1);
	while (send(polls[0].fd, filler, sizeof(filler), MSG_DONTWAIT) > 0)
		continue;
	now_ms = readiness_step(&readiness);
	assert_true(now_ms != CLOCK_NEVER);
	assert_true(readiness_step(&readiness) == CLOCK_NEVER);
	assert_int_equal(readiness_list(&readiness, polls), 0);
	assert_int_equal(begun, 1);
}

static void
test_the_host_of_a_unix_socket_is_told_beside_it(void **state)
{
	static const struct address_port loopback = { .cid = 1, .port = 51 };

	(void)state;
	readiness_init(&readiness, "/vm/vsock");
	readiness_dial(&readiness, &loopback, "READY=1");
	(void)readiness_step(&readiness);
	assert_int_equal(begun_unix, 0);
	readiness_dial(&readiness, &host, "R");
	assert_int_equal(begun_unix, 1);
	assert_true(readiness_step(&readiness) == CLOCK_NEVER);
	assert_string_equal(heard(), "R");
}

#define TEST(name) cmocka_unit_test_setup(name, setup)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_a_host_that_listens_is_told_once),
		TEST(test_a_host_where_nobody_listens_is_not_asked_again),
		TEST(test_a_transport_that_is_not_there_yet_is_tried_again_until_it_is),
		TEST(test_a_transport_that_goes_while_it_is_asked_is_tried_again),
		TEST(test_the_pauses_grow_to_their_end_and_no_further),
		TEST(test_two_hosts_are_told_each_in_its_own_time),
		TEST(test_a_host_that_does_not_answer_is_given_up),
		TEST(test_the_host_of_a_unix_socket_is_told_beside_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
