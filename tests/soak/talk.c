/*
 * talk: the host's side of one connection to an agent that may die meanwhile.
 *
 * SPDX-License-Identifier: MIT
 */
#include "talk.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "vmm-guest/protocol.h"

#define TALK_LINE_MAX 64
#define TALK_REQUEST_MAX 4096

uint64_t
talk_now_ms(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static int
talk_wait(struct talk *talk, short events)
{
	struct pollfd poll_one = { .fd = talk->fd, .events = events };
	uint64_t now = talk_now_ms();

	if (now >= talk->deadline_ms || poll(&poll_one, 1, (int)(talk->deadline_ms - now)) == 0)
		return -ETIMEDOUT;
	return 0;
}

/* Reads what is there behind what has been read. Returns 0, -EPIPE at the end, or
 * -ETIMEDOUT. */
static int
talk_fill(struct talk *talk)
{
	ssize_t n;

	if (talk->head > 0) {
		memmove(talk->buffer, talk->buffer + talk->head, talk->tail - talk->head);
		talk->tail -= talk->head;
		talk->head = 0;
	}
	for (;;) {
		n = recv(talk->fd, talk->buffer + talk->tail, sizeof(talk->buffer) - talk->tail,
		    MSG_DONTWAIT);
		if (n > 0) {
			talk->tail += (size_t)n;
			return 0;
		}
		if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
			talk->has_closed = true;
			return -EPIPE;
		}
		if (talk_wait(talk, POLLIN) < 0)
			return -ETIMEDOUT;
	}
}

static int
talk_shake_hands(struct talk *talk, unsigned port)
{
	char line[TALK_LINE_MAX];
	int len = snprintf(line, sizeof(line), "CONNECT %u\n", port);
	int r = talk_send_raw(talk, line, (size_t)len);
	const uint8_t *end = NULL;

	while (r == 0 && end == NULL) {
		r = talk_fill(talk);
		end = memchr(talk->buffer, '\n', talk->tail);
	}
	if (r < 0)
		return r == -EPIPE ? -ECONNRESET : r;
	talk->head = (size_t)(end + 1 - talk->buffer);
	return memcmp(talk->buffer, "OK ", 3) == 0 ? 0 : -EPROTO;
}

int
talk_open(struct talk *talk, const char *path, unsigned port)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int r = 0;

	talk->head = talk->tail = 0;
	talk->has_closed = false;
	talk->asked = 0;
	talk->deadline_ms = talk_now_ms() + TALK_PATIENCE_MS;
	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	talk->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (talk->fd < 0 || connect(talk->fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		r = -errno;
	if (r == 0 && port != 0)
		r = talk_shake_hands(talk, port);
	if (r < 0)
		talk_close(talk);
	return r;
}

void
talk_close(struct talk *talk)
{
	if (talk->fd >= 0)
		(void)close(talk->fd);
	talk->fd = -1;
}

/* ---- out ---------------------------------------------------------------- */

int
talk_send_raw(struct talk *talk, const void *bytes, size_t len)
{
	const uint8_t *next = bytes;

	while (len > 0) {
		ssize_t n = send(talk->fd, next, len, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n > 0) {
			next += n;
			len -= (size_t)n;
		} else if (errno != EAGAIN && errno != EINTR) {
			return -EPIPE;
		} else if (talk_wait(talk, POLLOUT) < 0) {
			return -ETIMEDOUT;
		}
	}
	return 0;
}

int
talk_send(struct talk *talk, uint8_t type, const void *payload, size_t len)
{
	uint8_t header[] = { type, (uint8_t)len, (uint8_t)(len >> 8), (uint8_t)(len >> 16),
		(uint8_t)(len >> 24) };
	int r = talk_send_raw(talk, header, sizeof(header));

	talk->asked = type;
	return r < 0 || len == 0 ? r : talk_send_raw(talk, payload, len);
}

int
talk_say(struct talk *talk, uint8_t type, const char *format, ...)
{
	char text[TALK_REQUEST_MAX];
	va_list arguments;
	int len;

	va_start(arguments, format);
	len = vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	return talk_send(talk, type, text, (size_t)len);
}

/* ---- in ----------------------------------------------------------------- */

static uint32_t
talk_u32(const uint8_t *bytes)
{
	return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 |
	       (uint32_t)bytes[3] << 24;
}

static int
talk_need(struct talk *talk, size_t len)
{
	while (talk->tail - talk->head < len) {
		int r = talk_fill(talk);

		if (r < 0)
			return r;
	}
	return 0;
}

/* Adds what has come of a payload; what is beyond the room is counted and dropped. */
static void
talk_keep(struct answer *answer, uint8_t type, const uint8_t *bytes, size_t len)
{
	bool is_data = type == VMM_GUEST_STDOUT || type == VMM_GUEST_FILE_DATA;
	size_t *kept = is_data ? &answer->data_len : &answer->text_len;
	size_t room = (is_data ? TALK_DATA_MAX : TALK_TEXT_MAX) - *kept;
	size_t fits = len < room ? len : room;

	if (type == VMM_GUEST_EXIT)
		return;
	if (fits > 0)
		memcpy(is_data ? (char *)answer->data + *kept : answer->text + *kept, bytes, fits);
	*kept += fits;
	answer->text[answer->text_len] = '\0';
}

static int
talk_take_payload(struct talk *talk, struct answer *answer, uint8_t type, uint32_t len)
{
	if (type == VMM_GUEST_EXIT && len >= 8 && len <= 64) {
		if (talk_need(talk, len) < 0)
			return -EPIPE;
		answer->has_exit = true;
		answer->code = (int32_t)talk_u32(talk->buffer + talk->head);
		answer->signal = (int32_t)talk_u32(talk->buffer + talk->head + 4);
	}
	while (len > 0) {
		size_t step;

		if (talk_need(talk, 1) < 0)
			return -EPIPE;
		step = talk->tail - talk->head;
		if (step > len)
			step = len;
		talk_keep(answer, type, talk->buffer + talk->head, step);
		talk->head += step;
		len -= (uint32_t)step;
	}
	return 0;
}

static uint8_t
talk_note_end(struct talk *talk, struct answer *answer, bool is_within)
{
	answer->end = !talk->has_closed ? TALK_STUCK : is_within ? TALK_BROKEN : TALK_CLOSED;
	return 0;
}

uint8_t
talk_next(struct talk *talk, struct answer *answer)
{
	uint32_t len;
	uint8_t type;

	if (talk_need(talk, VMM_GUEST_HEADER_LEN) < 0)
		return talk_note_end(talk, answer, talk->tail > talk->head);
	type = talk->buffer[talk->head];
	len = talk_u32(talk->buffer + talk->head + 1);
	talk->head += VMM_GUEST_HEADER_LEN;
	if (answer->last == VMM_GUEST_EXIT || answer->last == VMM_GUEST_FILE_ERR)
		answer->after_last++;
	if (talk_take_payload(talk, answer, type, len) < 0)
		return talk_note_end(talk, answer, true);
	answer->frames++;
	answer->last = type;
	return type;
}

void
talk_forget(struct answer *answer)
{
	memset(answer, 0, offsetof(struct answer, data));
	answer->text[0] = '\0';
}

void
talk_finish(struct talk *talk, struct answer *answer)
{
	while (talk_next(talk, answer) != 0)
		;
	talk_close(talk);
}
