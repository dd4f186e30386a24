/*
 * SPDX-License-Identifier: MIT
 */
#include "supervisor/readiness.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "platform/clock.h"
#include "platform/dial.h"
#include "platform/fd.h"
#include "platform/log.h"
#include "supervisor/own_fd.h"
#include "vmm-guest/protocol.h"

/* The kernel's own limit for a vsock connection is 2 s. */
#define READINESS_DIAL_MS 5000

#define READINESS_RETRY_FIRST_MS 100

/* One line a minute. */
static struct log_limit readiness_limit = { .burst = 1, .period_ms = 60000 };

void
readiness_init(struct readiness *readiness, const char *host_path)
{
	readiness->host_path = host_path;
	for (int i = 0; i < READINESS_DIALS; i++)
		readiness->dials[i] = (struct readiness_dial){ .fd = -1 };
}

/* ---- by vsock ---------------------------------------------------------- */

/* Whether it was too early to reach anybody: there is no address family (a module), no
 * transport below it (ENODEV; before it has an address ENETUNREACH or EADDRNOTAVAIL).
 * A bind may stand all the same, which is why the listeners do not wait for it. */
static bool
readiness_is_too_early(int error)
{
	return error == -EAFNOSUPPORT || error == -ENODEV || error == -ENETUNREACH ||
	       error == -EADDRNOTAVAIL;
}

/* Ends an attempt, which has succeeded or failed as R says. */
static void
readiness_hang_up(struct readiness_dial *dial, int r)
{
	fd_close(&dial->fd);
	if (readiness_is_too_early(r)) {
		dial->due_ms =
		    clock_mono_ms() + backoff_next_ms(&dial->backoff, READINESS_RETRY_FIRST_MS,
					  READINESS_RETRY_MAX_MS);
		log_limited(&readiness_limit, "can't tell vsock:%u:%u yet: %s; trying again",
		    dial->to.cid, dial->to.port, strerror(-r));
		return;
	}
	log_debug("%s to vsock:%u:%u: %s", dial->text, dial->to.cid, dial->to.port,
	    r < 0 ? strerror(-r) : "sent");
	dial->text = NULL;
}

/* A new connection always takes a text as short as this at once. */
static int
readiness_say(const struct readiness_dial *dial)
{
	size_t len = strlen(dial->text);
	ssize_t sent = send(dial->fd, dial->text, len, MSG_NOSIGNAL | MSG_DONTWAIT);

	if (sent < 0)
		return -errno;
	return (size_t)sent == len ? 0 : -EIO;
}

static void
readiness_begin(const struct readiness *readiness, struct readiness_dial *dial)
{
	int r;

	if (readiness->host_path != NULL && dial->to.cid == VMM_GUEST_HOST_CID)
		r = dial_begin_unix(readiness->host_path, dial->to.port, &dial->fd);
	else
		r = dial_begin(&dial->to, &dial->fd);
	if (r < 0) {
		readiness_hang_up(dial, r);
		return;
	}
	dial->fd = own_fd_hide(dial->fd);
	dial->due_ms = clock_mono_ms() + READINESS_DIAL_MS;
}

static void
readiness_go_on(struct readiness_dial *dial)
{
	struct pollfd wait = { .fd = dial->fd, .events = POLLOUT };
	int r;

	if (poll(&wait, 1, 0) > 0) {
		r = dial_result(dial->fd);
		readiness_hang_up(dial, r < 0 ? r : readiness_say(dial));
	} else if (clock_mono_ms() >= dial->due_ms) {
		readiness_hang_up(dial, -ETIMEDOUT);
	}
}

void
readiness_dial(struct readiness *readiness, const struct address_port *to, const char *text)
{
	for (int i = 0; i < READINESS_DIALS; i++) {
		struct readiness_dial *dial = &readiness->dials[i];

		if (dial->text != NULL)
			continue;
		*dial = (struct readiness_dial){ .fd = -1, .to = *to, .text = text };
		readiness_begin(readiness, dial);
		return;
	}
}

int
readiness_list(const struct readiness *readiness, struct pollfd *polls)
{
	int count = 0;

	for (int i = 0; i < READINESS_DIALS; i++) {
		const struct readiness_dial *dial = &readiness->dials[i];

		if (dial->fd >= 0)
			polls[count++] = (struct pollfd){ .fd = dial->fd, .events = POLLOUT };
	}
	return count;
}

uint64_t
readiness_step(struct readiness *readiness)
{
	uint64_t next = CLOCK_NEVER;

	for (int i = 0; i < READINESS_DIALS; i++) {
		struct readiness_dial *dial = &readiness->dials[i];

		if (dial->fd >= 0)
			readiness_go_on(dial);
		else if (dial->text != NULL && clock_mono_ms() >= dial->due_ms)
			readiness_begin(readiness, dial);
		if (dial->text != NULL && dial->due_ms < next)
			next = dial->due_ms;
	}
	return next;
}

/* ---- to a service manager ---------------------------------------------- */

int
readiness_notify(const char *socket_name, const char *text)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int CLEANUP_FD fd = -1;
	socklen_t len;

	if (socket_name == NULL || socket_name[0] == '\0')
		return 0;
	if (socket_name[0] != '/' && socket_name[0] != '@')
		return -EAFNOSUPPORT;
	if (strlcpy(address.sun_path, socket_name, sizeof(address.sun_path)) >=
	    sizeof(address.sun_path))
		return -ENAMETOOLONG;
	len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(socket_name));
	if (socket_name[0] == '@')
		address.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (sendto(fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT,
		(const struct sockaddr *)&address, len) < 0)
		return -errno;
	return 0;
}
