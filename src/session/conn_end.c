/*
 * conn_end: the end of a session's connection; see "Closing" in the contract.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

#include "platform/clock.h"
#include "platform/fd.h"
#include "platform/fdpass.h"
#include "session/conn_wait.h"

/* While no worker is idle, this is how long a host that was told all has to close. */
#define CONN_CROWDED_MS 1000

/* How long the end of the machine may wait for the other end of one connection. */
#define CONN_TAKEN_S 1

/* Drops what is buffered, frame by frame. True at a frame of type UNTIL, or where
 * the stream makes no sense any more. */
static bool
conn_drop_buffered(struct conn *conn, int until)
{
	struct frame_header header;
	const uint8_t *ignored;
	int r;

	for (;;) {
		(void)conn_take(conn, SIZE_MAX, &ignored);
		if (conn_in_payload(conn))
			return false;
		r = conn_parse_header(conn, &header);
		if (r == -EAGAIN)
			return false;
		if (r < 0) {
			conn_lose_track(conn);
			continue;
		}
		if (until >= 0 && header.type == until)
			return true;
	}
}

static bool
conn_is_crowded(const struct conn *conn)
{
	/* A quiesce waits for the end of the connection. */
	return conn->board != NULL && (quiesce_is_raised(&conn->board->quiesce) ||
					  scoreboard_count_idle(conn->board) == 0);
}

void
conn_discard(struct conn *conn, int max_ms, int until)
{
	uint64_t begun = clock_mono_ms();
	uint64_t deadline = begun + (uint64_t)max_ms;

	while (!conn_drop_buffered(conn, until)) {
		uint64_t now = clock_mono_ms();
		uint64_t look = now + CONN_CROWDED_MS;
		int r;

		/* A host that never lets the socket run empty must not hold us either. */
		if (now >= deadline || (now - begun >= CONN_CROWDED_MS && conn_is_crowded(conn)))
			return;
		r = conn_fill_wait(conn, false, look < deadline ? look : deadline);
		if (r < 0 && r != -ETIMEDOUT)
			return;
	}
}

void
conn_shut_down(struct conn *conn)
{
	(void)shutdown(conn->fd, SHUT_WR);
}

void
conn_lose_host(const struct conn *conn, int duplicates_fd)
{
	int pair[2];

	(void)conn_tell_reset(conn, 0);
	if (duplicates_fd >= 0)
		(void)fdpass_drop(duplicates_fd);
	/* Without one, it is closed with the session. */
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return;
	(void)dup2(pair[0], conn->fd);
	(void)fcntl(conn->fd, F_SETFD, FD_CLOEXEC);
	fd_close(&pair[0]);
	fd_close(&pair[1]);
}

int
conn_begin_finish(struct conn *conn)
{
	uint64_t now = clock_mono_ms();
	bool slow = conn->waited_ms > 0 && now - conn->waited_ms < VMM_GUEST_SLOW_WINDOW_MS;

	conn_shut_down(conn);
	if (slow)
		return VMM_GUEST_LINGER_SLOW_MS;
	return conn->saw_eof_frame ? 0 : VMM_GUEST_LINGER_MS;
}

/* The type of frame that ends it; negative: none. */
static int
conn_linger_until(int linger_ms)
{
	return linger_ms == VMM_GUEST_LINGER_MS ? VMM_GUEST_EOF : -1;
}

bool
conn_drop(struct conn *conn, int linger_ms)
{
	int until = conn_linger_until(linger_ms);
	ssize_t n;

	do {
		if (conn_drop_buffered(conn, until))
			return true;
		n = conn_fill(conn);
	} while (n > 0);
	return n != -EAGAIN;
}

/* Closes a connection on which all has been said. The machine may end the moment that this
 * worker has left, and what its kernel still holds for the host ends with it: then vsock's
 * close(2) is to wait until the other end has taken that. */
static void
conn_close_said(struct conn *conn)
{
	static const struct linger until_taken = { .l_onoff = 1, .l_linger = CONN_TAKEN_S };

	if (conn->board != NULL && atomic_load(&conn->board->shutdown.stage) >= SCOREBOARD_ENDING)
		(void)setsockopt(
		    conn->fd, SOL_SOCKET, SO_LINGER, &until_taken, sizeof(until_taken));
	conn_close(conn);
}

void
conn_finish(struct conn *conn)
{
	int linger_ms = conn_begin_finish(conn);

	if (linger_ms > 0)
		conn_discard(conn, linger_ms, conn_linger_until(linger_ms));
	conn_close_said(conn);
}

void
conn_hang_up(struct conn *conn, int max_ms)
{
	conn_shut_down(conn);
	conn_discard(conn, max_ms, -1);
	conn_close_said(conn);
}
