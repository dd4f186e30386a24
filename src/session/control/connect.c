/*
 * connect: CONNECT: a connection inside the guest, for the host. What then goes back
 * and forth is tcp_relay.c's.
 *
 * SPDX-License-Identifier: MIT
 */
#include "session/control/connect.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdatomic.h>
#include <string.h>

#include "platform/clock.h"
#include "platform/fd.h"
#include "protocol/port_request.h"
#include "session/control/tcp_relay.h"
#include "session/rest.h"
#include "session/stop.h"

/* How often a Unix socket whose queue is full is tried: it tells nobody of room. */
#define CONNECT_FULL_MS 20

/* Waits for a connect(2) that is under way, or is to be made again because of EAGAIN
 * (-EAGAIN: now), as long as the host is there. */
static int
connect_await(const struct conn *conn, int fd, int error)
{
	bool is_full = error == EAGAIN;
	uint64_t until_ms = is_full ? clock_mono_ms() + CONNECT_FULL_MS : CLOCK_NEVER;
	struct pollfd polls[] = {
		{ .fd = is_full ? -1 : fd, .events = POLLOUT },
		{ .fd = conn_fd(conn), .events = POLLRDHUP },
	};
	socklen_t len = sizeof(int);
	int n;

	for (;;) {
		rest_point();
		if (stop_is_now())
			return -ECANCELED;
		n = stop_poll(polls, 2, until_ms, true);
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n == 0)
			return -EAGAIN;
		if (polls[1].revents != 0)
			return -EPIPE;
		if (polls[0].revents == 0)
			continue;
		return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0 ? -errno : -error;
	}
}

/* Returns 0 with a non-blocking socket; -EPIPE if the host has gone; or -errno. */
static int
connect_open(const struct conn *conn, const struct port_target *target, int *ret_fd)
{
	int CLEANUP_FD fd =
	    socket(target->address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int on = 1;
	int r;

	if (fd < 0)
		return -errno;
	/* What the host sends in small frames is meant to go out as small segments. */
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	do {
		r = connect(fd, &target->address.any, target->address_len) < 0 ? -errno : 0;
		if (r == -EINPROGRESS || r == -EAGAIN)
			r = connect_await(conn, fd, -r);
	} while (r == -EAGAIN);
	if (r == 0)
		*ret_fd = fd_steal(&fd);
	return r;
}

static void
connect_run(struct session *session, int tcp_fd)
{
	int r = conn_send(&session->conn, VMM_GUEST_STATUS, PORT_REQUEST_CONNECTED,
	    strlen(PORT_REQUEST_CONNECTED));

	if (r < 0)
		return;
	(void)atomic_fetch_add(&session->board->counts.started, 1);
	r = tcp_relay_run(&session->conn, tcp_fd);
	(void)atomic_fetch_add(&session->board->counts.exited, 1);
	if (r == 0)
		session_send_exit(session, VMM_GUEST_EXIT_OK, 0);
	else if (r == -EMSGSIZE)
		session_refuse_exec(session, VMM_GUEST_EXIT_AGENT,
		    "a frame was announced with more than %u bytes: the connection was closed",
		    VMM_GUEST_FRAME_MAX);
	else if (r == -ECANCELED)
		session_refuse_exec(session, VMM_GUEST_EXIT_AGENT, "the agent is stopping");
	else if (r != -EPIPE)
		session_refuse_exec(session, VMM_GUEST_EXIT_NOT_MADE,
		    "the connection in the guest broke: %s", strerror(-r));
}

void
connect_serve(struct session *session, uint8_t type, const uint8_t *payload, size_t len)
{
	int CLEANUP_FD tcp_fd = -1;
	struct port_target target;
	struct json_error error;
	int r;

	(void)type;
	if (port_target_parse((const char *)payload, len, &target, &error) < 0) {
		session_refuse_bad(session, "CONNECT", &error);
		return;
	}
	session_describe(session, "", target.name);
	r = connect_open(&session->conn, &target, &tcp_fd);
	if (r == 0)
		connect_run(session, tcp_fd);
	else if (r != -EPIPE)
		session_refuse_exec(session, VMM_GUEST_EXIT_NOT_MADE, "can't connect to %s: %s",
		    target.name, strerror(-r));
}
