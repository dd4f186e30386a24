/*
 * talk: the host's side of one connection, no more than measuring needs.
 *
 * SPDX-License-Identifier: MIT
 */
#include "talk.h"

#include <err.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "platform/dial.h"
#include "protocol/frame_reader.h"
#include "protocol/handshake.h"

#define TALK_CONNECT_MS 10000
#define TALK_COMMAND_MAX 1024

static uint8_t talk_buffer[TALK_BUFFER];

struct talk {
	int fd;
	struct frame_reader reader;
};

static void
talk_write(int fd, struct iovec *pieces, int count)
{
	while (count > 0) {
		struct msghdr message = { .msg_iov = pieces, .msg_iovlen = (size_t)count };
		ssize_t n = sendmsg(fd, &message, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			err(1, "send");
		while (count > 0 && (size_t)n >= pieces->iov_len) {
			n -= (ssize_t)pieces->iov_len;
			pieces++;
			count--;
		}
		if (count > 0) {
			pieces->iov_base = (char *)pieces->iov_base + n;
			pieces->iov_len -= (size_t)n;
		}
	}
}

void
talk_send(int fd, uint8_t type, const void *payload, size_t len)
{
	uint8_t header[VMM_GUEST_HEADER_LEN];
	struct iovec pieces[] = {
		{ .iov_base = header, .iov_len = sizeof(header) },
		{ .iov_base = (void *)(uintptr_t)payload, .iov_len = len },
	};

	frame_header_format(header, type, (uint32_t)len);
	talk_write(fd, pieces, 2);
}

static int
talk_dial(const struct target *target, uint32_t port)
{
	int fd;
	int r = dial_open(&target->address, port, TALK_CONNECT_MS, &fd);

	if (r < 0)
		errx(1, "can't connect to the agent: %s", strerror(-r));
	return fd;
}

/* BEHIND of BEHIND_LEN bytes goes with it. */
static int
talk_open_with(const struct target *target, uint32_t port, uint8_t type, const void *payload,
    size_t len, const void *behind, size_t behind_len)
{
	char line[HANDSHAKE_LINE_MAX];
	uint8_t header[VMM_GUEST_HEADER_LEN];
	struct iovec pieces[] = {
		{ .iov_base = line },
		{ .iov_base = header, .iov_len = sizeof(header) },
		{ .iov_base = (void *)(uintptr_t)payload, .iov_len = len },
		{ .iov_base = (void *)(uintptr_t)behind, .iov_len = behind_len },
	};
	int fd = talk_dial(target, port);

	if (target->address.kind == ADDRESS_UNIX)
		pieces[0].iov_len = handshake_format_connect(line, sizeof(line), port);
	frame_header_format(header, type, (uint32_t)len);
	talk_write(fd, pieces, 4);
	return fd;
}

int
talk_open(const struct target *target, uint32_t port, uint8_t type, const void *payload, size_t len)
{
	return talk_open_with(target, port, type, payload, len, NULL, 0);
}

/* Reads the answer to the CONNECT line, byte by byte: what may follow it stays. */
static void
talk_await_answer(int fd)
{
	char byte = 0;

	while (byte != '\n') {
		ssize_t n = recv(fd, &byte, 1, 0);

		if (n == 0 || (n < 0 && errno != EINTR))
			errx(1, "the connection ended in its handshake");
	}
}

int
talk_open_waiting(
    const struct target *target, uint32_t port, uint8_t type, const void *payload, size_t len)
{
	char line[HANDSHAKE_LINE_MAX];
	int fd = talk_dial(target, port);

	if (target->address.kind == ADDRESS_UNIX) {
		struct iovec piece = { line, handshake_format_connect(line, sizeof(line), port) };

		talk_write(fd, &piece, 1);
		talk_await_answer(fd);
	}
	talk_send(fd, type, payload, len);
	return fd;
}

static size_t
talk_format_start(char *start, const char *command, bool tty)
{
	return (size_t)snprintf(
	    start, TALK_COMMAND_MAX, "{\"cmd\":[%s],\"tty\":%s}", command, tty ? "true" : "false");
}

int
talk_start(const struct target *target, const char *command, bool tty)
{
	char start[TALK_COMMAND_MAX];
	size_t len = talk_format_start(start, command, tty);

	return talk_open(target, VMM_GUEST_EXEC_PORT, VMM_GUEST_START, start, len);
}

int
talk_start_careful(const struct target *target, const char *command)
{
	char start[TALK_COMMAND_MAX];
	uint8_t eof[VMM_GUEST_HEADER_LEN];
	int len = snprintf(start, sizeof(start), "{\"cmd\":[%s],\"report\":true}", command);

	frame_header_format(eof, VMM_GUEST_EOF, 0);
	return talk_open_with(
	    target, VMM_GUEST_EXEC_PORT, VMM_GUEST_START, start, (size_t)len, eof, sizeof(eof));
}

int
talk_start_waiting(const struct target *target, const char *command)
{
	char start[TALK_COMMAND_MAX];
	size_t len = talk_format_start(start, command, false);

	return talk_open_waiting(target, VMM_GUEST_EXEC_PORT, VMM_GUEST_START, start, len);
}

static void
talk_fill(struct talk *talk)
{
	uint8_t *place;
	size_t room = frame_reader_room(&talk->reader, &place);
	ssize_t n;

	do {
		n = recv(talk->fd, place, room, 0);
	} while (n < 0 && errno == EINTR);
	if (n <= 0)
		errx(1, "the connection ended early");
	frame_reader_received(&talk->reader, (size_t)n);
}

/* Takes the answer to the CONNECT line away, if there is one. */
static void
talk_skip_handshake(struct talk *talk)
{
	const uint8_t *bytes;
	const uint8_t *end;
	size_t len;

	while ((len = frame_reader_peek(&talk->reader, &bytes)) == 0)
		talk_fill(talk);
	if (bytes[0] != 'O')
		return;
	while ((end = memchr(bytes, '\n', len)) == NULL) {
		talk_fill(talk);
		len = frame_reader_peek(&talk->reader, &bytes);
	}
	frame_reader_skip(&talk->reader, (size_t)(end + 1 - bytes));
}

/* An answer that ends the conversation and is not the one waited for. */
static void
talk_check(struct talk *talk, const struct frame_header *header, uint8_t last, int32_t code)
{
	struct frame_exit end = { 0 };
	const uint8_t *payload;

	while (frame_reader_missing(&talk->reader) > 0)
		talk_fill(talk);
	(void)frame_reader_peek(&talk->reader, &payload);
	if (header->type == VMM_GUEST_FILE_ERR || header->type == VMM_GUEST_STDERR)
		errx(1, "the agent says: %.*s", (int)header->len, payload);
	if (header->type != last || last != VMM_GUEST_EXIT)
		return;
	(void)frame_exit_parse(payload, header->len, &end);
	if (end.code != code)
		errx(1, "EXIT says %d, and not %d", end.code, code);
}

uint64_t
talk_receive(int fd, uint8_t data, uint8_t last, int32_t code)
{
	struct talk talk = { .fd = fd, .reader = { .buffer = talk_buffer, .size = TALK_BUFFER } };
	struct frame_header header;
	const uint8_t *ignored;
	uint64_t bytes = 0;
	int r;

	talk_skip_handshake(&talk);
	do {
		while ((r = frame_reader_next(&talk.reader, &header)) == -EAGAIN)
			talk_fill(&talk);
		if (r < 0)
			errx(1, "the agent sends what is no frame");
		if (header.type == data)
			bytes += header.len;
		else
			talk_check(&talk, &header, last, code);
		while (talk.reader.payload_left > 0)
			if (frame_reader_take(&talk.reader, SIZE_MAX, &ignored) == 0)
				talk_fill(&talk);
	} while (header.type != last);
	return bytes;
}
