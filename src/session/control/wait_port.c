/*
 * The kernel tells nobody that a socket has begun to listen, so its tables are looked at
 * again and again: soon at first, for a service that is just coming up, then ten times a
 * second.
 *
 * SPDX-License-Identifier: MIT
 */
#include "session/control/wait_port.h"

#include <errno.h>

#include "platform/backoff.h"
#include "platform/clock.h"
#include "platform/log.h"
#include "platform/tcp_port.h"
#include "platform/text.h"
#include "protocol/port_request.h"

#define WAIT_PORT_FIRST_MS 5
#define WAIT_PORT_MAX_MS 100

/* Waits until UNTIL_MS, dropping frames. Returns 0, or -errno of conn_next_frame()
 * where there is no reason to go on. */
static int
wait_port_pause(struct conn *conn, uint64_t until_ms)
{
	struct frame_header ignored;
	int r;

	do {
		r = conn_next_frame(conn, until_ms, &ignored);
	} while (r == 0);
	return r == -ETIMEDOUT ? 0 : r;
}

/* Returns 1 when somebody listens, 0 when the time is up, or -errno. */
static int
wait_port_run(struct conn *conn, const struct port_wait *wait)
{
	uint64_t now = clock_mono_ms();
	uint64_t deadline =
	    wait->timeout_ms < CLOCK_NEVER - now ? now + wait->timeout_ms : CLOCK_NEVER;
	struct backoff backoff = { 0 };

	for (;;) {
		uint64_t next;
		int r = tcp_port_is_listened(wait->port);

		if (r != 0)
			return r;
		now = clock_mono_ms();
		if (now >= deadline)
			return 0;
		next = now + backoff_next_ms(&backoff, WAIT_PORT_FIRST_MS, WAIT_PORT_MAX_MS);
		r = wait_port_pause(conn, clock_sooner(deadline, next));
		if (r < 0)
			return r;
	}
}

void
wait_port_serve(struct session *session, uint8_t type, const uint8_t *payload, size_t len)
{
	struct json_error error;
	struct port_wait wait;
	char what[sizeof("port 65535")];
	int r;

	(void)type;
	if (port_wait_parse((const char *)payload, len, &wait, &error) < 0) {
		session_refuse_bad(session, "WAIT_PORT", &error);
		return;
	}
	(void)text_format(what, sizeof(what), "port %u", wait.port);
	session_describe(session, "", what);
	r = wait_port_run(&session->conn, &wait);
	if (r == -EPIPE)
		return;
	if (r >= 0) {
		session_send_exit(session, r > 0 ? VMM_GUEST_EXIT_OK : VMM_GUEST_EXIT_NOT_MADE, 0);
		return;
	}
	session_send_exit(session, VMM_GUEST_EXIT_CONTROL_FAILED, 0);
	log_error(r, "WAIT_PORT %u", wait.port);
}
