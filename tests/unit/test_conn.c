/*
 * The connection of one session, over a socket pair whose other end is the host.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "platform/clock.h"
#include "platform/fd.h"
#include "platform/fdpass.h"
#include "conn_pair.h"

static uint64_t
soon(void)
{
	return clock_mono_ms() + SOON_MS;
}

static void
host_sends(const void *bytes, size_t len)
{
	assert_int_equal(fd_write_full(host_fd, bytes, len), 0);
}

static void
host_sends_frame(uint8_t type, const void *payload, uint32_t len)
{
	uint8_t header[VMM_GUEST_HEADER_LEN];

	frame_header_format(header, type, len);
	host_sends(header, sizeof(header));
	host_sends(payload, len);
}

/* A host in a process of its own sends LEN patterned bytes as a frame of TYPE. */
static uint8_t
pattern(size_t i)
{
	return (uint8_t)(i * 2654435761u >> 13);
}

static pid_t
fork_sender(uint8_t type, uint32_t len)
{
	static uint8_t piece[65536];
	pid_t pid = fork();

	if (pid != 0)
		return pid;
	(void)close(conn.fd);
	frame_header_format(piece, type, len);
	if (fd_write_full(host_fd, piece, VMM_GUEST_HEADER_LEN) < 0)
		_exit(1);
	for (size_t sent = 0; sent < len;) {
		size_t n = len - sent < sizeof(piece) ? len - sent : sizeof(piece);

		for (size_t i = 0; i < n; i++)
			piece[i] = pattern(sent + i);
		if (fd_write_full(host_fd, piece, n) < 0)
			_exit(1);
		sent += n;
	}
	_exit(0);
}

static void
wait_for(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void
assert_next(uint8_t type, uint32_t len)
{
	struct frame_header header;

	assert_int_equal(conn_next_frame(&conn, soon(), &header), 0);
	assert_int_equal(header.type, type);
	assert_int_equal(header.len, len);
}

/* ---- receiving --------------------------------------------------------- */

static void
test_frames_split_at_every_byte_are_the_same_frames(void **state)
{
	static const uint8_t stream[] = { VMM_GUEST_STDIN, 3, 0, 0, 0, 'a', 'b', 'c',	 /**/
		VMM_GUEST_STDIN, 0, 0, 0, 0, VMM_GUEST_RESIZE, 4, 0, 0, 0, 80, 0, 24, 0, /**/
		VMM_GUEST_EOF, 0, 0, 0, 0 };
	char seen[64] = "";
	size_t seen_len = 0;
	struct frame_header header;
	const uint8_t *bytes;

	(void)state;
	for (size_t i = 0; i < sizeof(stream); i++) {
		assert_int_equal(conn_fill(&conn), -EAGAIN);
		host_sends(&stream[i], 1);
		assert_int_equal(conn_fill(&conn), 1);
		if (!conn_in_payload(&conn) && conn_parse_header(&conn, &header) == 0)
			seen[seen_len++] = (char)('0' + header.type);
		for (size_t n = conn_take(&conn, SIZE_MAX, &bytes); n > 0; n--)
			seen[seen_len++] = (char)(*bytes++ | 0x40);
	}
	/* STDIN abc, STDIN, RESIZE 80 0 24 0, EOF. */
	assert_string_equal(seen, "2abc23P@X@4");
	assert_int_equal(atomic_load(&slot.bytes_in), 7);
}

static void
test_frames_that_come_together_are_told_apart(void **state)
{
	static const uint8_t stream[] = { 2, 1, 0, 0, 0, 'x', 4, 0, 0, 0, 0, 2, 2, 0, 0, 0, 'y',
		'z' };
	const uint8_t *bytes;

	(void)state;
	host_sends(stream, sizeof(stream));
	assert_next(2, 1);
	assert_int_equal(conn_read_payload(&conn, soon(), &bytes), 1);
	assert_int_equal(bytes[0], 'x');
	assert_int_equal(conn_read_payload(&conn, soon(), &bytes), 0);
	assert_next(4, 0);
	assert_int_equal(conn_read_payload(&conn, soon(), &bytes), 0);
	assert_next(2, 2);
	assert_int_equal(conn_read_whole(&conn, soon(), &bytes), 2);
	assert_memory_equal(bytes, "yz", 2);
}

static void
test_what_was_not_read_of_a_frame_is_skipped(void **state)
{
	static const uint8_t payload[1000];
	const uint8_t *bytes;

	(void)state;
	host_sends_frame(0x77, payload, sizeof(payload));
	host_sends_frame(VMM_GUEST_STDIN, "abc", 3);
	host_sends_frame(VMM_GUEST_EOF, "", 0);
	assert_next(0x77, 1000);
	assert_next(VMM_GUEST_STDIN, 3);
	assert_int_equal(conn_take(&conn, 1, &bytes), 1);
	assert_next(VMM_GUEST_EOF, 0);
}

static void
test_the_largest_payload_streams_through_a_fixed_buffer(void **state)
{
	const uint8_t *bytes;
	size_t total = 0;
	ssize_t n;
	pid_t pid = fork_sender(VMM_GUEST_FILE_DATA, VMM_GUEST_FRAME_MAX);

	(void)state;
	assert_next(VMM_GUEST_FILE_DATA, VMM_GUEST_FRAME_MAX);
	while ((n = conn_read_payload(&conn, soon(), &bytes)) > 0) {
		/* For the kernel's copy, there and from there. */
		assert_int_equal((uintptr_t)bytes % 64, 0);
		for (size_t i = 0; i < (size_t)n; i++) {
			if (bytes[i] != pattern(total + i))
				fail_msg("byte %zu differs", total + i);
		}
		total += (size_t)n;
	}
	assert_int_equal(n, 0);
	assert_int_equal(total, VMM_GUEST_FRAME_MAX);
	assert_int_equal(atomic_load(&slot.bytes_in), VMM_GUEST_FRAME_MAX);
	wait_for(pid);
}

/* Small enough for a socket that nobody reads meanwhile to hold FRAMES of them. */
#define SMALL 1024
#define FRAMES 64

static void
test_small_frames_that_wait_are_received_at_once(void **state)
{
	static const uint8_t payload[SMALL];
	const size_t all = FRAMES * (VMM_GUEST_HEADER_LEN + SMALL);
	struct frame_header header;
	const uint8_t *bytes;
	ssize_t first;

	(void)state;
	for (int i = 0; i < FRAMES; i++)
		host_sends_frame(VMM_GUEST_FILE_DATA, payload, SMALL);
	first = conn_fill(&conn);
	assert_in_range(first, SMALL, all / 8);
	assert_int_equal(conn_parse_header(&conn, &header), 0);
	(void)conn_take_joined(&conn, SIZE_MAX, &bytes);
	assert_int_equal(conn_fill(&conn), all - (size_t)first);
}

/* Frames of LEN bytes, of which the socket holds two: what is received, and where it lies. */
static void
receive_large(uint32_t len)
{
	static const uint8_t payload[65536];
	size_t left = 2 * (VMM_GUEST_HEADER_LEN + (size_t)len);
	struct frame_header header;
	const uint8_t *bytes;

	host_sends_frame(VMM_GUEST_STDIN, payload, len);
	host_sends_frame(VMM_GUEST_STDIN, payload, len);
	/* The first header comes with a page of payload; from there on each payload comes
	 * whole and by itself, with the header behind it. */
	left -= 4096;
	assert_int_equal(conn_fill(&conn), 4096);
	assert_int_equal(conn_parse_header(&conn, &header), 0);
	(void)conn_take_joined(&conn, SIZE_MAX, &bytes);
	assert_int_equal((uintptr_t)bytes % 64, 0);
	left -= len + VMM_GUEST_HEADER_LEN - (4096 - VMM_GUEST_HEADER_LEN);
	assert_int_equal(
	    conn_fill(&conn), len + VMM_GUEST_HEADER_LEN - (4096 - VMM_GUEST_HEADER_LEN));
	(void)conn_take_joined(&conn, SIZE_MAX, &bytes);
	assert_int_equal((uintptr_t)bytes % 4096, 0);
	assert_int_equal(left, len);
	assert_int_equal(conn_fill(&conn), len);
	assert_int_equal(conn_take_joined(&conn, SIZE_MAX, &bytes), len);
	assert_int_equal((uintptr_t)bytes % 4096, 0);
}

static void
test_large_frames_come_each_to_an_aligned_place(void **state)
{
	(void)state;
	receive_large(16384);
	receive_large(65536);
}

static void
test_payloads_of_one_type_are_taken_as_one_piece(void **state)
{
	struct frame_header header;
	const uint8_t *bytes;

	(void)state;
	host_sends_frame(VMM_GUEST_STDIN, "ab", 2);
	host_sends_frame(VMM_GUEST_STDIN, "", 0);
	host_sends_frame(VMM_GUEST_STDIN, "cde", 3);
	host_sends_frame(VMM_GUEST_RESIZE, "1234", 4);
	host_sends_frame(VMM_GUEST_STDIN, "f", 1);
	assert_next(VMM_GUEST_STDIN, 2);
	assert_int_equal(conn_read_joined(&conn, soon(), SIZE_MAX, &bytes), 5);
	assert_memory_equal(bytes, "abcde", 5);
	assert_int_equal(conn_read_joined(&conn, soon(), SIZE_MAX, &bytes), 0);
	assert_next(VMM_GUEST_RESIZE, 4);
	assert_int_equal(conn_take_joined(&conn, SIZE_MAX, &bytes), 4);
	assert_memory_equal(bytes, "1234", 4);
	assert_next(VMM_GUEST_STDIN, 1);
	assert_int_equal(conn_take_joined(&conn, SIZE_MAX, &bytes), 1);
	assert_int_equal(bytes[0], 'f');
	assert_int_equal(conn_parse_header(&conn, &header), -EAGAIN);
	assert_int_equal(atomic_load(&slot.bytes_in), 10);
}

static void
test_a_frame_of_more_than_may_be_taken_is_not_begun(void **state)
{
	const uint8_t *bytes;

	(void)state;
	for (int i = 0; i < 3; i++)
		host_sends_frame(VMM_GUEST_FILE_DATA, "abc", 3);
	assert_next(VMM_GUEST_FILE_DATA, 3);
	assert_int_equal(conn_take_joined(&conn, 2, &bytes), 2);
	assert_int_equal(conn_take_joined(&conn, 6, &bytes), 4);
	assert_memory_equal(bytes, "cabc", 4);
	assert_int_equal(conn_read_joined(&conn, soon(), 2, &bytes), 0);
	assert_next(VMM_GUEST_FILE_DATA, 3);
}

static void
test_the_largest_payload_can_be_skipped(void **state)
{
	pid_t pid = fork_sender(0x77, VMM_GUEST_FRAME_MAX);
	struct frame_header header;

	(void)state;
	assert_next(0x77, VMM_GUEST_FRAME_MAX);
	fd_close(&host_fd);
	/* All of it is skipped, and behind it the host has gone. */
	assert_int_equal(conn_next_frame(&conn, soon(), &header), -EPIPE);
	assert_false(conn_in_payload(&conn));
	wait_for(pid);
}

static void
test_a_length_above_the_limit_is_refused(void **state)
{
	uint8_t bytes[VMM_GUEST_HEADER_LEN];
	struct frame_header header;

	(void)state;
	frame_header_format(bytes, VMM_GUEST_STDIN, VMM_GUEST_FRAME_MAX + 1);
	host_sends(bytes, sizeof(bytes));
	assert_int_equal(conn_next_frame(&conn, soon(), &header), -EMSGSIZE);
}

static void
test_a_whole_payload_is_read_wherever_it_lies_in_the_buffer(void **state)
{
	static const uint8_t before[70000];
	const uint8_t *bytes;

	(void)state;
	for (uint32_t round = 0; round < 40; round++) {
		uint32_t len = VMM_GUEST_JSON_MAX - round * 1021;
		pid_t pid;

		host_sends_frame(VMM_GUEST_STDIN, before, round * 331);
		pid = fork_sender(VMM_GUEST_START, len);
		assert_next(VMM_GUEST_STDIN, round * 331);
		assert_next(VMM_GUEST_START, len);
		assert_int_equal(conn_read_whole(&conn, soon(), &bytes), len);
		for (size_t i = 0; i < len; i += 4093)
			assert_int_equal(bytes[i], pattern(i));
		assert_int_equal(bytes[len - 1], pattern(len - 1));
		wait_for(pid);
	}
}

static void
test_a_whole_payload_has_a_limit(void **state)
{
	uint8_t bytes[VMM_GUEST_HEADER_LEN];
	const uint8_t *ignored;

	(void)state;
	frame_header_format(bytes, VMM_GUEST_START, VMM_GUEST_JSON_MAX + 1);
	host_sends(bytes, sizeof(bytes));
	assert_next(VMM_GUEST_START, VMM_GUEST_JSON_MAX + 1);
	assert_int_equal(conn_read_whole(&conn, soon(), &ignored), -EMSGSIZE);
}

static void
test_an_empty_payload_is_read_without_waiting(void **state)
{
	const uint8_t *ignored;

	(void)state;
	host_sends_frame(VMM_GUEST_STATUS_REQ, "", 0);
	assert_next(VMM_GUEST_STATUS_REQ, 0);
	assert_int_equal(conn_read_whole(&conn, 0, &ignored), 0);
	assert_int_equal(conn_read_payload(&conn, 0, &ignored), 0);
}

static void
test_a_host_that_says_nothing_more_runs_into_the_deadline(void **state)
{
	struct frame_header header;
	const uint8_t *bytes;
	uint64_t before = clock_mono_ms();

	(void)state;
	assert_int_equal(conn_next_frame(&conn, before + 30, &header), -ETIMEDOUT);
	assert_in_range(clock_mono_ms() - before, 30, SOON_MS);
	/* What came in part is not lost. */
	host_sends("\x02\x05\0", 3);
	assert_int_equal(conn_next_frame(&conn, clock_mono_ms(), &header), -ETIMEDOUT);
	host_sends("\0\0he", 4);
	assert_next(VMM_GUEST_STDIN, 5);
	assert_int_equal(conn_read_whole(&conn, clock_mono_ms(), &bytes), -ETIMEDOUT);
	host_sends("llo", 3);
	assert_int_equal(conn_read_whole(&conn, soon(), &bytes), 5);
	assert_memory_equal(bytes, "hello", 5);
}

static void
test_a_host_that_has_gone_is_told_after_what_it_had_sent(void **state)
{
	struct frame_header header;
	const uint8_t *bytes;

	(void)state;
	host_sends_frame(VMM_GUEST_FILE_DONE, "", 0);
	host_sends("\x02\x05\0\0\0he", 7);
	assert_int_equal(shutdown(host_fd, SHUT_WR), 0);
	assert_next(VMM_GUEST_FILE_DONE, 0);
	assert_next(VMM_GUEST_STDIN, 5);
	assert_int_equal(conn_read_payload(&conn, soon(), &bytes), 2);
	assert_int_equal(conn_read_payload(&conn, soon(), &bytes), -EPIPE);
	assert_int_equal(conn_next_frame(&conn, soon(), &header), -EPIPE);
}

/* Its duplicate too: the kernel goes by whether any is open. */
static void
test_a_connection_that_is_given_up_is_closed_at_once(void **state)
{
	struct frame_header header;
	int queue[2];
	uint8_t byte;

	(void)state;
	assert_int_equal(fdpass_open(&queue[0], &queue[1]), 0);
	assert_int_equal(fdpass_put(queue[1], conn.fd, NULL, 0), 0);
	conn_lose_host(&conn, queue[0]);
	assert_int_equal(read(host_fd, &byte, 1), 0);
	assert_int_equal(conn_send(&conn, VMM_GUEST_STDOUT, "x", 1), -EPIPE);
	assert_int_equal(conn_next_frame(&conn, CLOCK_NEVER, &header), -EPIPE);
	fd_close(&queue[0]);
	fd_close(&queue[1]);
}

/* How many bytes of the buffer of frames lie in memory once a connection is closed on which one
 * of LEN has begun. */
static size_t
left_by_a_frame(size_t len)
{
	const size_t page = (size_t)sysconf(_SC_PAGESIZE);
	uint8_t *buffer = conn_tx_buffer();
	uint8_t *first = (uint8_t *)((uintptr_t)buffer & ~(page - 1));
	unsigned char pages[VMM_GUEST_DATA_MAX / 1024];
	size_t count = VMM_GUEST_DATA_MAX / page;
	size_t left = 0;

	memset(buffer, 'x', VMM_GUEST_DATA_MAX);
	conn_begin_push(&conn, VMM_GUEST_STDOUT, len, false);
	(void)conn_push(&conn);
	conn_close(&conn);
	assert_int_equal(mincore(first, count * page, pages), 0);
	for (size_t i = 0; i < count; i++)
		left += (pages[i] & 1) * page;
	return left;
}

static void
test_the_memory_of_a_large_frame_is_given_back_with_its_connection(void **state)
{
	(void)state;
	assert_true(left_by_a_frame(VMM_GUEST_DATA_MAX) < VMM_GUEST_DATA_MAX / 2);
}

static void
test_the_memory_of_small_frames_stays_for_the_next_session(void **state)
{
	(void)state;
	assert_int_equal(left_by_a_frame(1000), VMM_GUEST_DATA_MAX);
}

static void
test_bytes_before_the_first_frame_can_be_looked_at(void **state)
{
	const uint8_t *bytes;

	(void)state;
	host_sends("CONNECT 52\n\x04\0\0\0\0", 16);
	assert_int_equal(conn_receive(&conn, soon()), 0);
	assert_int_equal(conn_peek(&conn, &bytes), 16);
	assert_memory_equal(bytes, "CONNECT 52\n", 11);
	conn_skip(&conn, 11);
	assert_int_equal(conn_send_raw(&conn, "OK 52\n", 6), 0);
	assert_next(VMM_GUEST_EOF, 0);
	assert_int_equal(conn_peek(&conn, &bytes), 0);
}

/* ---- sending ----------------------------------------------------------- */

static void
test_a_frame_is_sent_whole_and_the_slot_is_told(void **state)
{
	(void)state;
	assert_int_equal(conn_send(&conn, VMM_GUEST_STDERR, "text", 4), 0);
	assert_int_equal(slot.in_frame, 0);
	assert_int_equal(slot.phase, SLOT_OPEN);
	assert_int_equal(slot.bytes_out, 4);
	memcpy(conn_tx_buffer(), "more", 4);
	assert_int_equal(conn_send(&conn, VMM_GUEST_STDOUT, conn_tx_buffer(), 4), 0);
	assert_int_equal(conn_send(&conn, VMM_GUEST_STDOUT, NULL, 0), 0);
	assert_int_equal(conn_send_last(&conn, VMM_GUEST_EXIT, "\0\0\0\0\0\0\0\0", 8), 0);
	assert_int_equal(slot.in_frame, 0);
	assert_int_equal(slot.phase, SLOT_LAST_SENT);
	assert_host_gets(VMM_GUEST_STDERR, "text", 4);
	assert_host_gets(VMM_GUEST_STDOUT, "more", 4);
	assert_host_gets(VMM_GUEST_STDOUT, "", 0);
	assert_host_gets(VMM_GUEST_EXIT, "\0\0\0\0\0\0\0\0", 8);
}

static void
test_a_host_that_takes_nothing_stalls_the_frame_it_is_in(void **state)
{
	static const uint8_t much[VMM_GUEST_DATA_MAX];
	int r;

	(void)state;
	conn.stall_ms = 20;
	do
		r = conn_send(&conn, VMM_GUEST_STDOUT, much, sizeof(much));
	while (r == 0);
	assert_int_equal(r, -ETIMEDOUT);
	/* The supervisor must not speak into the middle of it. */
	assert_int_equal(slot.in_frame, 1);
	assert_int_equal(slot.phase, SLOT_OPEN);
}

static void
test_sending_to_a_host_that_has_gone_raises_no_signal(void **state)
{
	struct sigaction action = { .sa_handler = SIG_DFL };

	(void)state;
	(void)sigaction(SIGPIPE, &action, NULL);
	fd_close(&host_fd);
	assert_int_equal(conn_send(&conn, VMM_GUEST_STDOUT, "x", 1), -EPIPE);
	conn_begin_push(&conn, VMM_GUEST_STDOUT, 1, false);
	assert_int_equal(conn_push(&conn), -EPIPE);
}

/* In place of the C library's: fails with SEND_ERROR, if that is not 0. */
static int send_error;

ssize_t
send(int fd, const void *bytes, size_t len, int flags)
{
	if (send_error == 0)
		return sendto(fd, bytes, len, flags, NULL, 0);
	errno = send_error;
	return -1;
}

/* A host that goes, and has not read all, resets a Unix socket. */
static void
host_resets(void)
{
	assert_int_equal(sendto(conn.fd, "x", 1, 0, NULL, 0), 1);
	fd_close(&host_fd);
}

static int
push_fails_with(int error)
{
	int r;

	conn_begin_push(&conn, VMM_GUEST_STDOUT, 1, false);
	send_error = error;
	r = conn_push(&conn);
	send_error = 0;
	return r;
}

/* A vsock that was reset for too many packets says ENOBUFS. */
static void
test_a_reset_that_sending_meets_is_not_taken_for_lack_of_memory(void **state)
{
	int left = -1;
	socklen_t len = sizeof(left);

	(void)state;
	host_resets();
	assert_int_equal(push_fails_with(ENOBUFS), -EPIPE);
	/* Who looked for the cause took it. */
	assert_int_equal(getsockopt(conn.fd, SOL_SOCKET, SO_ERROR, &left, &len), 0);
	assert_int_equal(left, 0);
}

static void
test_lack_of_memory_without_a_reset_is_waited_for(void **state)
{
	(void)state;
	assert_int_equal(push_fails_with(ENOBUFS), -EAGAIN);
	assert_int_equal(conn_push(&conn), 0);
	assert_host_gets(VMM_GUEST_STDOUT, conn_tx_buffer(), 1);
}

static void
test_a_host_that_goes_while_it_is_waited_for_ends_the_wait(void **state)
{
	static const uint8_t much[VMM_GUEST_DATA_MAX];
	uint64_t before = clock_mono_ms();
	pid_t pid = fork();
	int r;

	(void)state;
	conn.stall_ms = 1;
	conn_be_patient(&conn);
	if (pid == 0) {
		(void)usleep(50000);
		(void)shutdown(host_fd, SHUT_RDWR);
		_exit(0);
	}
	do
		r = conn_send(&conn, VMM_GUEST_STDOUT, much, sizeof(much));
	while (r == 0);
	assert_int_equal(r, -EPIPE);
	assert_true(clock_mono_ms() - before < SOON_MS);
	wait_for(pid);
}

static void
test_a_push_goes_on_where_the_host_made_it_stop(void **state)
{
	static uint8_t bytes[VMM_GUEST_HEADER_LEN + VMM_GUEST_DATA_MAX];
	size_t got = 0;
	int r = 0;

	(void)state;
	for (size_t i = 0; i < VMM_GUEST_DATA_MAX; i++)
		conn_tx_buffer()[i] = pattern(i);
	/* Until one stops half way. */
	while (r == 0) {
		conn_begin_push(&conn, VMM_GUEST_STDOUT, VMM_GUEST_DATA_MAX, false);
		r = conn_push(&conn);
		got++;
	}
	assert_int_equal(r, -EAGAIN);
	assert_true(conn_is_pushing(&conn));
	assert_int_equal(slot.in_frame, 1);
	assert_true(conn.waited_ms > 0);
	for (; got > 0; got--) {
		size_t have = 0;

		while (have < sizeof(bytes)) {
			ssize_t n = recv(host_fd, bytes + have, sizeof(bytes) - have, MSG_DONTWAIT);

			have += n > 0 ? (size_t)n : 0;
			(void)conn_push(&conn);
		}
		assert_int_equal(bytes[0], VMM_GUEST_STDOUT);
		for (size_t i = 0; i < VMM_GUEST_DATA_MAX; i++)
			assert_int_equal(bytes[VMM_GUEST_HEADER_LEN + i], pattern(i));
	}
	assert_false(conn_is_pushing(&conn));
	assert_int_equal(slot.in_frame, 0);
}

static void
test_the_last_push_marks_the_slot(void **state)
{
	(void)state;
	memset(conn_tx_buffer(), 0, VMM_GUEST_EXIT_LEN);
	conn_begin_push(&conn, VMM_GUEST_EXIT, VMM_GUEST_EXIT_LEN, true);
	assert_int_equal(slot.in_frame, 0);
	assert_int_equal(slot.phase, SLOT_LAST_SENDING);
	assert_int_equal(conn_push(&conn), 0);
	assert_int_equal(slot.in_frame, 0);
	assert_int_equal(slot.phase, SLOT_LAST_SENT);
	assert_host_gets(VMM_GUEST_EXIT, "\0\0\0\0\0\0\0\0", 8);
}

/* ---- the end ----------------------------------------------------------- */

/* How long conn_finish() took; it has closed then, and the host sees the end. */
static uint64_t
finish(void)
{
	uint64_t before = clock_mono_ms();
	uint64_t took;
	char byte;

	conn_finish(&conn);
	took = clock_mono_ms() - before;
	assert_int_equal(conn.fd, -1);
	if (host_fd >= 0)
		assert_int_equal(recv(host_fd, &byte, 1, MSG_DONTWAIT), 0);
	return took;
}

static void
test_a_host_that_holds_its_end_is_lingered_for_100_ms(void **state)
{
	(void)state;
	assert_in_range(finish(), VMM_GUEST_LINGER_MS - 1, VMM_GUEST_LINGER_SLOW_MS / 2);
}

/* On a busy machine anything may take long; what lingers takes long every time. */
static void
assert_finishes_at_once(void (*prepare)(void))
{
	uint64_t shortest = UINT64_MAX;

	for (int i = 0; i < 20 && shortest >= VMM_GUEST_LINGER_MS; i++) {
		uint64_t took;

		(void)teardown(NULL);
		assert_int_equal(setup(NULL), 0);
		prepare();
		took = finish();
		shortest = took < shortest ? took : shortest;
	}
	assert_in_range(shortest, 0, VMM_GUEST_LINGER_MS - 1);
}

static void
prepare_eof_frame(void)
{
	static const uint8_t junk[5000];

	host_sends_frame(VMM_GUEST_STDIN, junk, sizeof(junk));
	host_sends_frame(VMM_GUEST_EOF, "", 0);
}

static void
test_an_eof_frame_ends_the_linger_at_once(void **state)
{
	(void)state;
	assert_finishes_at_once(prepare_eof_frame);
}

static void
prepare_eof_seen(void)
{
	conn.saw_eof_frame = true;
}

static void
test_an_eof_frame_of_before_ends_it_too(void **state)
{
	(void)state;
	assert_finishes_at_once(prepare_eof_seen);
}

static void
prepare_closed(void)
{
	fd_close(&host_fd);
}

static void
test_a_host_that_has_closed_is_not_lingered_for(void **state)
{
	(void)state;
	assert_finishes_at_once(prepare_closed);
}

static void
test_a_slow_host_is_lingered_for_though_it_sent_eof(void **state)
{
	pid_t pid;

	(void)state;
	conn.waited_ms = clock_mono_ms();
	host_sends_frame(VMM_GUEST_EOF, "", 0);
	pid = fork();
	if (pid == 0) {
		(void)usleep(1000000);
		(void)shutdown(host_fd, SHUT_RDWR);
		_exit(0);
	}
	assert_in_range(finish(), 2 * VMM_GUEST_LINGER_MS, VMM_GUEST_LINGER_SLOW_MS - 1);
	wait_for(pid);
}

static void
test_a_wait_of_long_ago_makes_no_slow_host(void **state)
{
	(void)state;
	conn.waited_ms = clock_mono_ms() - VMM_GUEST_SLOW_WINDOW_MS;
	assert_in_range(finish(), VMM_GUEST_LINGER_MS - 1, VMM_GUEST_LINGER_SLOW_MS / 2);
}

static void
test_a_host_that_goes_on_sending_does_not_prolong_the_linger(void **state)
{
	pid_t pid = fork();
	int status;

	(void)state;
	if (pid == 0) {
		(void)close(conn.fd);
		for (;;) {
			if (send(host_fd, "\x02\0\0\0\0", 5, MSG_NOSIGNAL) < 0)
				_exit(0);
		}
	}
	fd_close(&host_fd);
	assert_in_range(finish(), VMM_GUEST_LINGER_MS - 1, VMM_GUEST_LINGER_SLOW_MS / 2);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void
test_a_refused_upload_is_read_to_its_end_and_no_further(void **state)
{
	static const uint8_t piece[30000];
	uint64_t before = clock_mono_ms();

	(void)state;
	for (int i = 0; i < 3; i++)
		host_sends_frame(VMM_GUEST_FILE_DATA, piece, sizeof(piece));
	host_sends_frame(VMM_GUEST_FILE_DONE, "", 0);
	host_sends_frame(VMM_GUEST_EOF, "", 0);
	conn_discard(&conn, SOON_MS, VMM_GUEST_FILE_DONE);
	assert_true(clock_mono_ms() - before < SOON_MS);
	assert_next(VMM_GUEST_EOF, 0);
	/* Where the end does not come, time is up. */
	before = clock_mono_ms();
	conn_discard(&conn, 30, VMM_GUEST_FILE_DONE);
	assert_in_range(clock_mono_ms() - before, 30, SOON_MS / 2);
}

static void
test_bytes_that_are_no_frames_are_dropped_all_the_same(void **state)
{
	static uint8_t junk[100000];

	(void)state;
	memset(junk, 0xff, sizeof(junk));
	host_sends(junk, sizeof(junk));
	fd_close(&host_fd);
	conn_discard(&conn, SOON_MS, VMM_GUEST_FILE_DONE);
	assert_int_equal(conn_fill(&conn), -EPIPE);
}

#define EACH(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		EACH(test_frames_split_at_every_byte_are_the_same_frames),
		EACH(test_frames_that_come_together_are_told_apart),
		EACH(test_what_was_not_read_of_a_frame_is_skipped),
		EACH(test_the_largest_payload_streams_through_a_fixed_buffer),
		EACH(test_small_frames_that_wait_are_received_at_once),
		EACH(test_large_frames_come_each_to_an_aligned_place),
		EACH(test_payloads_of_one_type_are_taken_as_one_piece),
		EACH(test_a_frame_of_more_than_may_be_taken_is_not_begun),
		EACH(test_the_largest_payload_can_be_skipped),
		EACH(test_a_length_above_the_limit_is_refused),
		EACH(test_a_whole_payload_is_read_wherever_it_lies_in_the_buffer),
		EACH(test_a_whole_payload_has_a_limit),
		EACH(test_an_empty_payload_is_read_without_waiting),
		EACH(test_a_host_that_says_nothing_more_runs_into_the_deadline),
		EACH(test_a_host_that_has_gone_is_told_after_what_it_had_sent),
		EACH(test_a_connection_that_is_given_up_is_closed_at_once),
		EACH(test_the_memory_of_a_large_frame_is_given_back_with_its_connection),
		EACH(test_the_memory_of_small_frames_stays_for_the_next_session),
		EACH(test_bytes_before_the_first_frame_can_be_looked_at),
		EACH(test_a_frame_is_sent_whole_and_the_slot_is_told),
		EACH(test_a_host_that_takes_nothing_stalls_the_frame_it_is_in),
		EACH(test_sending_to_a_host_that_has_gone_raises_no_signal),
		EACH(test_a_reset_that_sending_meets_is_not_taken_for_lack_of_memory),
		EACH(test_lack_of_memory_without_a_reset_is_waited_for),
		EACH(test_a_host_that_goes_while_it_is_waited_for_ends_the_wait),
		EACH(test_a_push_goes_on_where_the_host_made_it_stop),
		EACH(test_the_last_push_marks_the_slot),
		EACH(test_a_host_that_holds_its_end_is_lingered_for_100_ms),
		EACH(test_an_eof_frame_ends_the_linger_at_once),
		EACH(test_an_eof_frame_of_before_ends_it_too),
		EACH(test_a_host_that_has_closed_is_not_lingered_for),
		EACH(test_a_slow_host_is_lingered_for_though_it_sent_eof),
		EACH(test_a_wait_of_long_ago_makes_no_slow_host),
		EACH(test_a_host_that_goes_on_sending_does_not_prolong_the_linger),
		EACH(test_a_refused_upload_is_read_to_its_end_and_no_further),
		EACH(test_bytes_that_are_no_frames_are_dropped_all_the_same),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
