/*
 * client: the address, the handshake, waits, and words for what goes wrong.
 *
 * SPDX-License-Identifier: MIT
 */
#include "ctl/core/client.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <linux/vm_sockets.h>

#include "client/hint.h"
#include "platform/address.h"
#include "platform/clock.h"
#include "platform/dial.h"
#include "platform/fd.h"
#include "platform/io_error.h"
#include "protocol/handshake.h"

/* Two paths, and words. */
#define CLIENT_ERROR_WHOLE (2 * PATH_MAX + 512)
#define CLIENT_MS_PER_S 1000

void
client_fail(struct client_error *error, const char *format, ...)
{
	const size_t half = sizeof(error->text) / 2;
	char whole[CLIENT_ERROR_WHOLE];
	va_list args;
	size_t len;

	va_start(args, format);
	(void)vsnprintf(whole, sizeof(whole), format, args);
	va_end(args);
	len = strlen(whole);
	if (len < sizeof(error->text))
		memcpy(error->text, whole, len + 1);
	else
		/* A long path: what it is about stands in front, and why at the end. */
		(void)snprintf(error->text, sizeof(error->text), "%.*s...%s", (int)half - 4, whole,
		    whole + len - half);
}

static int
client_parse_address(
    const struct client_target *target, struct address *ret, struct client_error *error)
{
	const char *text = target->address;
	int r;

	if (text[0] == '\0') {
		client_fail(error, "no address: %s", target->hint);
		return -EINVAL;
	}
	r = address_parse(text, ret);
	if (r == -ENAMETOOLONG) {
		client_fail(error, "the path in '%s' is too long for a Unix socket", text);
		return -EINVAL;
	}
	if (r < 0 || (ret->kind == ADDRESS_VSOCK && ret->cid == VMADDR_CID_ANY)) {
		client_fail(
		    error, "'%s' is not an address: it should be unix:PATH or vsock:CID", text);
		return -EINVAL;
	}
	return 0;
}

int
client_check_target(const struct client_target *target, struct client_error *error)
{
	struct address address;

	return client_parse_address(target, &address, error);
}

static int
client_unreached(const struct client *client, int error, enum address_kind kind, int timeout_ms,
    struct client_error *ret)
{
	if (error == ETIMEDOUT || error == ETIME)
		client_fail(ret, "the agent at %s, port %u, did not answer within %g s",
		    client->target->address, client->port, (double)timeout_ms / CLIENT_MS_PER_S);
	else
		client_fail(ret, "can't reach the agent at %s, port %u: %s%s",
		    client->target->address, client->port, strerror(error),
		    hint_unreached(error, kind == ADDRESS_VSOCK));
	return -error;
}

uint64_t
client_quiet_due_ms(const struct client *client)
{
	const struct client_target *target = client->target;
	uint64_t due_ms = CLOCK_NEVER;

	if (client->quiet_ms == 0)
		return CLOCK_NEVER;
	if (target->quiet != NULL && !client->quiet_is_told)
		due_ms = client->quiet_ms + CLIENT_QUIET_MS;
	if (target->answer_ms > 0)
		due_ms = clock_sooner(due_ms, client->quiet_ms + (uint64_t)target->answer_ms);
	return due_ms;
}

int
client_check_quiet(struct client *client)
{
	const struct client_target *target = client->target;
	uint64_t now = clock_mono_ms();

	if (client->quiet_ms == 0)
		return 0;
	if (target->answer_ms > 0 && now >= client->quiet_ms + (uint64_t)target->answer_ms)
		return -ETIME;
	if (target->quiet != NULL && !client->quiet_is_told &&
	    now >= client->quiet_ms + CLIENT_QUIET_MS) {
		client->quiet_is_told = true;
		target->quiet();
	}
	return 0;
}

void
client_expect_nothing(struct client *client)
{
	client->quiet_ms = 0;
}

void
client_expect_answer(struct client *client)
{
	client->quiet_ms = clock_mono_ms();
}

/* What is to be done when nothing came within the time. */
static int
client_time_is_up(struct client *client)
{
	return clock_mono_ms() >= client->deadline_ms ? -ETIMEDOUT : client_check_quiet(client);
}

int
client_poll(struct client *client, struct pollfd *polls, nfds_t count)
{
	const struct client_target *target = client->target;

	for (;;) {
		int left = clock_poll_timeout(clock_mono_ms(),
		    clock_sooner(client->deadline_ms, client_quiet_due_ms(client)));
		bool ticks = target->tick != NULL && (left < 0 || left > target->tick_ms);
		int n = poll(polls, count, ticks ? target->tick_ms : left);
		int r = n == 0 && !ticks ? client_time_is_up(client) : 0;

		if (n > 0 || r < 0)
			return r;
		if (n == 0 && ticks)
			target->tick();
		else if (n == 0)
			continue;
		else if (errno == ENOMEM)
			io_error_pause();
		else if (errno != EINTR)
			return -errno;
	}
}

int
client_wait(struct client *client, int events)
{
	struct pollfd wait[2] = {
		{ .fd = client->fd, .events = (short)events },
		{ .fd = client->target->cancel_fd, .events = POLLIN },
	};
	int r = client_poll(client, wait, 2);

	if (r < 0)
		return r;
	return wait[1].revents != 0 ? -ECANCELED : wait[0].revents;
}

/* "CONNECT port", and the answer to it. Bytes behind the answer's line stay in the
 * buffer. */
static int
client_shake_hands(struct client *client, int timeout_ms, struct client_error *error)
{
	char line[HANDSHAKE_LINE_MAX];
	size_t len = handshake_format_connect(line, sizeof(line), client->port);
	const uint8_t *answer;
	const uint8_t *newline = NULL;
	uint64_t begun_ms = client->quiet_ms;
	int r = client_send_bytes(client, line, len);

	if (client_is_gone(r))
		r = -ENODATA;
	else if (r < 0)
		return client_unreached(client, -r, ADDRESS_UNIX, timeout_ms, error);
	for (;;) {
		len = frame_reader_peek(&client->reader, &answer);
		newline = memchr(answer, '\n', len);
		if (r < 0 || newline != NULL || len >= HANDSHAKE_LINE_MAX)
			break;
		r = client_wait(client, POLLIN);
		if (r < 0)
			return client_unreached(client, -r, ADDRESS_UNIX, timeout_ms, error);
		r = client_fill(client);
		if (r == -EAGAIN)
			r = 0;
	}
	if (newline == NULL && r < 0) {
		client_fail(error,
		    "nobody answers at %s, port %u, in the guest; has the agent started? "
		    "(vmm-guest-ctl wait)",
		    client->target->address, client->port);
		return -ECONNREFUSED;
	}
	if (newline == NULL || memcmp(answer, "OK ", 3) != 0) {
		client_fail(error, "%s is not a vsock device of a VM: it answered something else",
		    client->target->address);
		return -EPROTO;
	}
	frame_reader_skip(&client->reader, (size_t)(newline - answer) + 1);
	/* That was the device's word, not the agent's. */
	if (frame_reader_peek(&client->reader, &answer) == 0)
		client->quiet_ms = begun_ms;
	return 0;
}

/* How long to try to connect, where TIMEOUT_MS is the caller's limit. */
static int
client_connect_ms(const struct client_target *target, int timeout_ms)
{
	bool is_longer = timeout_ms != CLIENT_CONNECT_MS && timeout_ms < target->answer_ms;

	return target->answer_ms > 0 && !is_longer ? target->answer_ms : timeout_ms;
}

int
client_open(struct client *ret, const struct client_target *target, uint32_t port, int timeout_ms,
    struct client_error *error)
{
	struct client CLEANUP_CLIENT client = CLIENT_INIT;
	struct address address;
	int r = client_parse_address(target, &address, error);

	if (r < 0)
		return r;
	client.target = target;
	client.port = port;
	timeout_ms = client_connect_ms(target, timeout_ms);
	client.quiet_ms = clock_mono_ms();
	client.deadline_ms = clock_mono_ms() + (uint64_t)timeout_ms;
	client.reader.buffer = malloc(CLIENT_BUFFER_LEN);
	client.reader.size = CLIENT_BUFFER_LEN;
	if (client.reader.buffer == NULL) {
		client_fail(error, "out of memory");
		return -ENOMEM;
	}
	r = dial_open(&address, port, timeout_ms, &client.fd);
	if (r == 0)
		r = fd_set_nonblock(client.fd, true);
	if (r < 0)
		return client_unreached(&client, -r, address.kind, timeout_ms, error);
	if (address.kind == ADDRESS_UNIX)
		r = client_shake_hands(&client, timeout_ms, error);
	if (r < 0)
		return r;
	client.deadline_ms = CLOCK_NEVER;
	*ret = client;
	client = (struct client)CLIENT_INIT;
	return 0;
}

void
client_close(struct client *client)
{
	fd_close(&client->fd);
	free(client->reader.buffer);
	client->reader.buffer = NULL;
}

void
client_explain(struct client *client, int error, struct client_error *ret)
{
	switch (-error) {
	case ENODATA:
		client_fail(ret,
		    "the agent at %s closed the connection without an answer; did the VM stop, or "
		    "is this agent too old for the request?",
		    client->target->address);
		break;
	case ETIME:
		client_fail(ret, "the agent at %s, port %u, did not answer within %g s (--wait)",
		    client->target->address, client->port,
		    (double)client->target->answer_ms / CLIENT_MS_PER_S);
		break;
	case EPIPE:
	case ECONNRESET:
		client_fail(ret, "the connection to the agent at %s, port %u, was lost",
		    client->target->address, client->port);
		break;
	case EMSGSIZE:
		client_fail(ret, "what answers at %s, port %u, does not speak the agent's protocol",
		    client->target->address, client->port);
		break;
	default:
		client_fail(ret, "the connection to the agent at %s, port %u: %s",
		    client->target->address, client->port, strerror(-error));
		break;
	}
}
