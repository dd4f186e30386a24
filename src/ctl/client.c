/*
 * client: one connection to the agent.
 */
#include "ctl/client.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <linux/vm_sockets.h>

#include "ctl/signals.h"
#include "platform/address.h"
#include "platform/clock.h"
#include "platform/dial.h"
#include "platform/fd.h"
#include "protocol/handshake.h"

#define CLIENT_ENVIRONMENT "VMM_GUEST_ADDR"

/* Two paths, and words. */
#define CLIENT_ERROR_WHOLE (2 * PATH_MAX + 512)
#define CLIENT_MS_PER_S 1000

static const char *client_address_text;

void
client_set_address(const char *text)
{
	client_address_text = text;
}

const char *
client_address(void)
{
	const char *text =
	    client_address_text != NULL ? client_address_text : getenv(CLIENT_ENVIRONMENT);

	return text != NULL ? text : "";
}

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
client_find(struct address *ret, struct client_error *error)
{
	const char *text = client_address();
	int r;

	if (text[0] == '\0') {
		client_fail(error, "no address: give -a unix:PATH or -a vsock:CID, or set %s",
		    CLIENT_ENVIRONMENT);
		return -EINVAL;
	}
	r = address_parse(text, ret);
	if (r == -ENAMETOOLONG) {
		client_fail(error, "the path in '%s' is too long for a Unix socket", text);
		return -EINVAL;
	}
	if (r < 0 || (ret->kind == ADDRESS_VSOCK && ret->cid == VMADDR_CID_ANY)) {
		client_fail(error, "'%s' is no address: it should be unix:PATH or vsock:CID", text);
		return -EINVAL;
	}
	return 0;
}

int
client_check_address(struct client_error *error)
{
	struct address address;

	return client_find(&address, error);
}

/* What a person can do about an address that can't be reached. */
static const char *
client_hint(enum address_kind kind, int error)
{
	switch (error) {
	case ENOENT:
	case ECONNREFUSED:
		return "; is the VM running?";
	case ENODEV:
		return "; is a VM with this CID running?";
	case ECONNRESET:
		return kind == ADDRESS_VSOCK ? "; the VM runs, but no agent listens (yet?)" : "";
	case EACCES:
	case EPERM:
		return "; may this user open it?";
	case EAFNOSUPPORT:
		return "; this kernel has no vsock (modprobe vhost_vsock)";
	default:
		return "";
	}
}

static int
client_unreached(
    int error, enum address_kind kind, uint32_t port, int timeout_ms, struct client_error *ret)
{
	if (error == ETIMEDOUT)
		client_fail(ret, "the agent at %s, port %u, did not answer within %g s",
		    client_address(), port, (double)timeout_ms / CLIENT_MS_PER_S);
	else
		client_fail(ret, "can't reach the agent at %s, port %u: %s%s", client_address(),
		    port, strerror(error), client_hint(kind, error));
	return -error;
}

int
client_wait(struct client *client, int events)
{
	struct pollfd wait[2] = {
		{ .fd = client->fd, .events = (short)events },
		{ .fd = signals_fd(), .events = POLLIN },
	};
	int n;

	do {
		n = poll(wait, 2, clock_poll_timeout(clock_mono_ms(), client->deadline_ms));
		if (n == 0)
			return -ETIMEDOUT;
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	return wait[1].revents != 0 ? -ECANCELED : wait[0].revents;
}

/* The end of the answer's line in what was received, or NULL. */
static const uint8_t *
client_find_line(const struct client *client)
{
	return memchr(client->buffer, '\n', client->end);
}

/* "CONNECT port", and the answer to it. Bytes behind the answer's line stay in the
 * buffer. */
static int
client_shake_hands(struct client *client, int timeout_ms, struct client_error *error)
{
	char line[HANDSHAKE_LINE_MAX];
	size_t len = handshake_format_connect(line, sizeof(line), client->port);
	const uint8_t *newline;
	int r = 0;

	if (send(client->fd, line, len, MSG_NOSIGNAL) != (ssize_t)len)
		r = -ENODATA;
	while (r == 0 && client_find_line(client) == NULL && client->end < HANDSHAKE_LINE_MAX) {
		r = client_wait(client, POLLIN);
		if (r < 0)
			return client_unreached(-r, ADDRESS_UNIX, client->port, timeout_ms, error);
		r = client_fill(client);
		if (r == -EAGAIN)
			r = 0;
	}
	newline = client_find_line(client);
	if (newline == NULL && r < 0) {
		client_fail(error,
		    "nobody answers at %s, port %u, in the guest; has the agent started? "
		    "(vmm-guest-ctl wait)",
		    client_address(), client->port);
		return -ECONNREFUSED;
	}
	if (newline == NULL || memcmp(client->buffer, "OK ", 3) != 0) {
		client_fail(error, "%s is no vsock device of a VM: it answered something else",
		    client_address());
		return -EPROTO;
	}
	client->start = (size_t)(newline - client->buffer) + 1;
	return 0;
}

int
client_open(struct client *ret, uint32_t port, int timeout_ms, struct client_error *error)
{
	struct client CLEANUP_CLIENT client = CLIENT_INIT;
	struct address address;
	int r = client_find(&address, error);

	if (r < 0)
		return r;
	client.port = port;
	client.deadline_ms = clock_mono_ms() + (uint64_t)timeout_ms;
	client.buffer = malloc(CLIENT_BUFFER_LEN);
	if (client.buffer == NULL) {
		client_fail(error, "out of memory");
		return -ENOMEM;
	}
	r = dial_open(&address, port, timeout_ms, &client.fd);
	if (r == 0)
		r = fd_set_nonblock(client.fd, true);
	if (r < 0)
		return client_unreached(-r, address.kind, port, timeout_ms, error);
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
	free(client->buffer);
	client->buffer = NULL;
}

int
client_send(struct client *client, uint8_t type, const void *payload, size_t len)
{
	uint8_t header[VMM_GUEST_HEADER_LEN];
	size_t sent = 0;

	frame_header_format(header, type, (uint32_t)len);
	while (sent < sizeof(header) + len) {
		struct iovec parts[2] = { { 0 } };
		struct msghdr message = { .msg_iov = parts, .msg_iovlen = 2 };
		size_t skip = sent < sizeof(header) ? 0 : sent - sizeof(header);
		ssize_t n;

		if (sent < sizeof(header))
			parts[0] = (struct iovec){ header + sent, sizeof(header) - sent };
		parts[1] = (struct iovec){ (uint8_t *)(uintptr_t)payload + skip, len - skip };
		n = sendmsg(client->fd, &message, MSG_NOSIGNAL);
		if (n < 0 && errno == EAGAIN) {
			int r = client_wait(client, POLLOUT);

			if (r < 0)
				return r;
		} else if (n < 0 && errno != EINTR) {
			return -errno;
		}
		sent += n > 0 ? (size_t)n : 0;
	}
	return 0;
}

int
client_fill(struct client *client)
{
	ssize_t n;

	if (client->start > 0) {
		memmove(
		    client->buffer, client->buffer + client->start, client->end - client->start);
		client->end -= client->start;
		client->start = 0;
	}
	do
		n = recv(
		    client->fd, client->buffer + client->end, CLIENT_BUFFER_LEN - client->end, 0);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	client->end += (size_t)n;
	return n == 0 ? -ENODATA : 0;
}

/* A part of a frame that is too large to be given out whole. */
static int
client_take_part(struct client *client, bool first, struct client_piece *ret)
{
	size_t have = client->end - client->start;
	size_t len = have < client->left ? have : client->left;

	if (len == 0)
		return -EAGAIN;
	client->left -= (uint32_t)len;
	client->in_frame = client->left > 0;
	*ret = (struct client_piece){ .type = client->frame.type,
		.first = first,
		.last = !client->in_frame,
		.data = client->buffer + client->start,
		.len = len };
	client->start += len;
	return 0;
}

int
client_take(struct client *client, struct client_piece *ret)
{
	const uint8_t *bytes = client->buffer + client->start;
	size_t have = client->end - client->start;

	if (client->in_frame)
		return client_take_part(client, false, ret);
	if (have < VMM_GUEST_HEADER_LEN)
		return -EAGAIN;
	if (frame_header_parse(bytes, &client->frame) < 0)
		return -EMSGSIZE;
	if (client->frame.len > CLIENT_WHOLE_MAX) {
		if (have == VMM_GUEST_HEADER_LEN)
			return -EAGAIN;
		client->start += VMM_GUEST_HEADER_LEN;
		client->left = client->frame.len;
		return client_take_part(client, true, ret);
	}
	if (have < VMM_GUEST_HEADER_LEN + client->frame.len)
		return -EAGAIN;
	*ret = (struct client_piece){ .type = client->frame.type,
		.first = true,
		.last = true,
		.data = bytes + VMM_GUEST_HEADER_LEN,
		.len = client->frame.len };
	client->start += VMM_GUEST_HEADER_LEN + client->frame.len;
	return 0;
}

int
client_receive(struct client *client, struct client_piece *ret)
{
	int r;

	while ((r = client_take(client, ret)) == -EAGAIN) {
		r = client_wait(client, POLLIN);
		if (r < 0)
			return r;
		r = client_fill(client);
		if (r < 0 && r != -EAGAIN)
			return r;
	}
	return r;
}

int
client_receive_whole(struct client *client, uint8_t *ret_type, char **ret_text, size_t *ret_len)
{
	struct client_piece piece;
	char *text = NULL;
	size_t len = 0;
	int r;

	do {
		char *grown = NULL;

		r = client_receive(client, &piece);
		if (r == 0)
			grown = realloc(text, len + piece.len + 1);
		if (r == 0 && grown == NULL)
			r = -ENOMEM;
		if (r < 0) {
			free(text);
			return r;
		}
		text = grown;
		memcpy(text + len, piece.data, piece.len);
		len += piece.len;
		text[len] = '\0';
	} while (!piece.last);
	*ret_type = piece.type;
	*ret_text = text;
	*ret_len = len;
	return 0;
}

void
client_explain(struct client *client, int error, struct client_error *ret)
{
	switch (-error) {
	case ENODATA:
		client_fail(ret,
		    "the agent at %s closed the connection without an answer; did the VM stop, or "
		    "is this agent too old for the request?",
		    client_address());
		break;
	case EPIPE:
	case ECONNRESET:
		client_fail(ret, "the connection to the agent at %s, port %u, was lost",
		    client_address(), client->port);
		break;
	case EMSGSIZE:
		client_fail(ret, "what answers at %s, port %u, does not speak the agent's protocol",
		    client_address(), client->port);
		break;
	default:
		client_fail(ret, "the connection to the agent at %s, port %u: %s", client_address(),
		    client->port, strerror(-error));
		break;
	}
}
