/*
 * The frames of a running session, over a socket pair: a program on pipes or a
 * terminal (the first byte says which) gets them, and whatever they are, the host
 * sees whole frames and the last is EXIT.
 *
 * The program is cat in a session of its own, which SIGNAL may stop or kill; the
 * timeout ends it then.
 *
 * SPDX-License-Identifier: MIT
 */
#include "fuzz.h"

#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "platform/fd.h"
#include "platform/proc.h"
#include "session/run/exec.h"
#include "session/stop.h"

#define INPUT_MAX 4096

#define START_PIPES "{\"cmd\":[\"cat\"],\"timeout_seconds\":1}"
#define START_TTY "{\"cmd\":[\"cat\"],\"timeout_seconds\":1,\"tty\":true}"

static struct scoreboard *board;

static void
set_up(void)
{
	sigset_t alarm;

	if (board != NULL)
		return;
	FUZZ_CHECK(scoreboard_new(1, 0, &board) == 0);
	FUZZ_CHECK(proc_init() == 0);
	stop_init();
	/* libFuzzer's own clock. */
	(void)sigemptyset(&alarm);
	(void)sigaddset(&alarm, SIGALRM);
	(void)sigprocmask(SIG_UNBLOCK, &alarm, NULL);
}

/* The length of DATA's whole frames: a piece of one would swallow what follows. A
 * length above the limit ends the session, and stays. */
static size_t
whole_frames_len(const uint8_t *data, size_t size)
{
	struct frame_header header;
	size_t at = 0;

	while (size - at >= VMM_GUEST_HEADER_LEN) {
		if (frame_header_parse(data + at, &header) < 0)
			return at + VMM_GUEST_HEADER_LEN;
		if (header.len > size - at - VMM_GUEST_HEADER_LEN)
			break;
		at += VMM_GUEST_HEADER_LEN + header.len;
	}
	return at;
}

static void
check_replies(int host_fd)
{
	static uint8_t bytes[VMM_GUEST_FRAME_MAX];
	ssize_t len = fd_read_full(host_fd, bytes, sizeof(bytes));
	struct frame_header header = { .type = 0 };

	FUZZ_CHECK(len > 0);
	for (ssize_t at = 0; at < len; at += VMM_GUEST_HEADER_LEN + (ssize_t)header.len) {
		FUZZ_CHECK(header.type != VMM_GUEST_EXIT);
		FUZZ_CHECK(len - at >= VMM_GUEST_HEADER_LEN);
		FUZZ_CHECK(frame_header_parse(bytes + at, &header) == 0);
		FUZZ_CHECK(header.len <= (size_t)(len - at - VMM_GUEST_HEADER_LEN));
		FUZZ_CHECK(header.type == VMM_GUEST_STDOUT || header.type == VMM_GUEST_STDERR ||
			   header.type == VMM_GUEST_EXIT);
	}
	FUZZ_CHECK(header.type == VMM_GUEST_EXIT && header.len == VMM_GUEST_EXIT_LEN);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct session_settings settings = {
		.stall_timeout_ms = 1000, .home = "/", .session_cgroups_fd = -1
	};
	static const uint8_t eof[VMM_GUEST_HEADER_LEN] = { VMM_GUEST_EOF };
	struct session session = { .settings = &settings };
	const char *start;
	int pair[2];

	set_up();
	if (size == 0 || size > INPUT_MAX)
		return 0;
	start = data[0] % 2 != 0 ? START_TTY : START_PIPES;
	FUZZ_CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
	FUZZ_CHECK(fd_write_full(pair[0], data + 1, whole_frames_len(data + 1, size - 1)) == 0);
	FUZZ_CHECK(fd_write_full(pair[0], eof, sizeof(eof)) == 0);
	FUZZ_CHECK(fd_set_nonblock(pair[1], true) == 0);
	session.board = board;
	session.slot = &board->slots[0];
	conn_init(&session.conn, pair[1], session.slot, NULL, -1);
	exec_serve(&session, VMM_GUEST_START, (const uint8_t *)start, strlen(start));
	conn_close(&session.conn);
	scoreboard_clear_slot(session.slot);
	check_replies(pair[0]);
	(void)close(pair[0]);
	return 0;
}
