/*
 * The first words of a connection, over a socket pair, and then whatever else
 * comes as frames. Nothing is served: a session does what it is asked to do, and
 * would set this machine's clock.
 *
 * SPDX-License-Identifier: MIT
 */
#include "fuzz.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "platform/clock.h"
#include "platform/fd.h"
#include "session/request_table.h"
#include "worker/first_frame.h"

#define INPUT_MAX 65536

static const struct worker_settings settings = {
	.exec_port = 52,
	.file_port = 53,
	.first_frame_timeout_ms = 1000,
};

static void
read_frames(struct conn *conn)
{
	struct frame_header header;
	const uint8_t *bytes;
	size_t total;
	ssize_t n;
	int r;

	while ((r = conn_next_frame(conn, CLOCK_NEVER, &header)) == 0) {
		total = 0;
		while ((n = conn_read_payload(conn, CLOCK_NEVER, &bytes)) > 0)
			total += (size_t)n;
		FUZZ_CHECK(n < 0 ? n == -EPIPE : total == header.len);
		if (n < 0)
			return;
	}
	FUZZ_CHECK(r == -EPIPE || r == -EMSGSIZE);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct scoreboard *board;
	struct session session = { 0 };
	struct first_frame frame = { .port = WORKER_PORT_BY_HANDSHAKE };
	int pair[2];
	int r;

	if (board == NULL)
		FUZZ_CHECK(scoreboard_new(2, 0, &board) == 0);
	if (size > INPUT_MAX)
		return 0;
	FUZZ_CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
	FUZZ_CHECK(fd_write_full(pair[0], data, size) == 0);
	FUZZ_CHECK(shutdown(pair[0], SHUT_WR) == 0);
	FUZZ_CHECK(fd_set_nonblock(pair[1], true) == 0);
	session.board = board;
	session.slot = &board->slots[0];
	session.slot->started_ms = clock_mono_ms();
	frame.until_ms = session.slot->started_ms + (uint64_t)settings.first_frame_timeout_ms;
	conn_init(&session.conn, pair[1], session.slot, NULL, -1);
	r = first_frame_read(&session, &settings, false, &frame);
	FUZZ_CHECK(r == 0 || r == -EPIPE || r == -EBADMSG || r == -EMSGSIZE);
	if (r == 0) {
		FUZZ_CHECK(frame.len <= VMM_GUEST_JSON_MAX);
		(void)request_table_find(frame.is_file_port, frame.type);
		read_frames(&session.conn);
	}
	conn_finish(&session.conn);
	(void)close(pair[0]);
	return 0;
}
