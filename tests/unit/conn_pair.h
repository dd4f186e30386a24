/*
 * conn_pair: a connection over a socket pair whose other end is the host, with a slot of
 * its own.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TESTS_UNIT_CONN_PAIR_H
#define TESTS_UNIT_CONN_PAIR_H

#include <string.h>
#include <sys/socket.h>

#include "platform/fd.h"
#include "session/conn.h"

#define SOON_MS 20000 /* longer than anything here takes */

static struct conn conn;
static struct slot slot;
static int host_fd = -1;

/* Setup of a cmocka test, and its teardown. */
static int
setup(void **state)
{
	int pair[2];

	(void)state;
	memset(&slot, 0, sizeof(slot));
	slot.phase = SLOT_OPEN;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return -1;
	host_fd = pair[0];
	conn_init(&conn, pair[1], &slot, NULL, SOON_MS);
	return fd_set_nonblock(conn.fd, true);
}

static int
teardown(void **state)
{
	(void)state;
	conn_close(&conn);
	fd_close(&host_fd);
	return 0;
}

static void
assert_host_gets(uint8_t type, const void *payload, size_t len)
{
	static uint8_t bytes[32768];
	struct frame_header header;

	assert_int_equal(fd_read_full(host_fd, bytes, VMM_GUEST_HEADER_LEN), VMM_GUEST_HEADER_LEN);
	assert_int_equal(frame_header_parse(bytes, &header), 0);
	assert_int_equal(header.type, type);
	assert_int_equal(header.len, len);
	assert_int_equal(fd_read_full(host_fd, bytes, len), len);
	assert_memory_equal(bytes, payload, len);
}

#endif
