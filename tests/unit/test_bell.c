/*
 * bell: a ring wakes, and is neither lost nor ever too much.
 *
 * SPDX-License-Identifier: MIT
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "platform/bell.h"

static bool
rings(int fd)
{
	struct pollfd look = { .fd = fd, .events = POLLIN };

	return poll(&look, 1, 0) == 1;
}

static void
test_it_is_quiet_until_it_is_rung_and_after_it_was_silenced(void **state)
{
	int fd = bell_open();

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	assert_false(rings(fd));
	bell_ring(fd);
	bell_ring(fd);
	assert_true(rings(fd));
	bell_silence(fd);
	assert_false(rings(fd));
	bell_silence(fd); /* does not wait */
	(void)close(fd);
}

static void
test_a_bell_that_is_full_still_rings_and_holds_nobody_up(void **state)
{
	int fd = bell_open();

	(void)state;
	assert_int_equal(eventfd_write(fd, UINT64_MAX - 1), 0);
	bell_ring(fd);
	assert_true(rings(fd));
	bell_silence(fd);
	assert_false(rings(fd));
	(void)close(fd);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_it_is_quiet_until_it_is_rung_and_after_it_was_silenced),
		cmocka_unit_test(test_a_bell_that_is_full_still_rings_and_holds_nobody_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
