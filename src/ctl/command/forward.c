/*
 * forward: "vmm-guest-ctl forward": a port of this machine that leads to one of the
 * guest.
 *
 * SPDX-License-Identifier: MIT
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "ctl/command.h"
#include "ctl/target.h"
#include "ctl/tunnel.h"
#include "platform/fd.h"

#define FORWARD_BACKLOG 128
#define FORWARD_LOCAL "127.0.0.1"
#define FORWARD_ADDRESS_MAX 128

/* Where no descriptor or memory is to be had for one more. */
#define FORWARD_PAUSE_MS 100

struct forward {
	char address[FORWARD_ADDRESS_MAX];
	uint16_t port;
	const char *guest_host;
	uint16_t guest_port;
};

static struct forward forward_main;

static const struct options_row forward_options[] = {
	OPTIONS_OPERAND("ADDRESS",
	    "of this machine to listen on (default: 127.0.0.1), an IPv6 one in brackets; 0.0.0.0 "
	    "lets other machines in"),
	OPTIONS_OPERAND("PORT", "0 takes one that is free"),
	OPTIONS_TEXT("host", 0, "HOST", &forward_main.guest_host,
	    "an address to connect to from inside the guest instead of 127.0.0.1: its own, or of "
	    "another machine that it reaches"),
	OPTIONS_END,
};

struct forward_connection {
	const struct forward *forward;
	int fd;
};

/* Splits "[ADDRESS:]PORT:GUESTPORT". Returns 0 or -EINVAL. */
static int
forward_parse(const char *text, struct forward *ret)
{
	const char *last = strrchr(text, ':');
	const char *start = text;
	const char *colon;
	uint64_t number;
	char port[8];
	int len;

	if (last == NULL || command_parse_number(last + 1, 1, UINT16_MAX, &number) < 0)
		return -EINVAL;
	ret->guest_port = (uint16_t)number;
	colon = memrchr(text, ':', (size_t)(last - text));
	(void)strlcpy(ret->address, FORWARD_LOCAL, sizeof(ret->address));
	if (colon != NULL) {
		len = (int)(colon - text);
		if (text[0] == '[' && colon[-1] == ']') {
			start++;
			len -= 2;
		} else if (memchr(text, ':', (size_t)len) != NULL) {
			return -EINVAL;
		}
		if (len <= 0 || len >= FORWARD_ADDRESS_MAX)
			return -EINVAL;
		(void)snprintf(ret->address, sizeof(ret->address), "%.*s", len, start);
		start = colon + 1;
	}
	len = (int)(last - start);
	if (len <= 0 || len >= (int)sizeof(port))
		return -EINVAL;
	(void)snprintf(port, sizeof(port), "%.*s", len, start);
	if (command_parse_number(port, 0, UINT16_MAX, &number) < 0)
		return -EINVAL;
	ret->port = (uint16_t)number;
	return 0;
}

union forward_sockaddr {
	struct sockaddr any;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
};

/* The address to listen on. Returns its length, or 0 if it is none. */
static socklen_t
forward_resolve(const struct forward *forward, union forward_sockaddr *ret)
{
	*ret = (union forward_sockaddr){ 0 };
	if (inet_pton(AF_INET, forward->address, &ret->in.sin_addr) == 1) {
		ret->in.sin_family = AF_INET;
		ret->in.sin_port = htons(forward->port);
		return sizeof(ret->in);
	}
	if (inet_pton(AF_INET6, forward->address, &ret->in6.sin6_addr) == 1) {
		ret->in6.sin6_family = AF_INET6;
		ret->in6.sin6_port = htons(forward->port);
		return sizeof(ret->in6);
	}
	return 0;
}

/* Listens. Returns 0 with *RET_FD; or the exit status, after a complaint. */
static int
forward_listen(const struct forward *forward, int *ret_fd)
{
	union forward_sockaddr address;
	socklen_t len = forward_resolve(forward, &address);
	int CLEANUP_FD fd = -1;
	int on = 1;

	if (len == 0)
		return command_fail("'%s' is not an address to listen on", forward->address);
	fd = socket(address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0)
		(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (fd < 0 || bind(fd, &address.any, len) < 0 || listen(fd, FORWARD_BACKLOG) < 0)
		return command_fail("can't listen on %s, port %u: %s", forward->address,
		    forward->port, strerror(errno));
	*ret_fd = fd_steal(&fd);
	return 0;
}

/* Says where it listens: the port may have been chosen just now. Of both kinds of
 * address the port stands in the same place. */
static int
forward_announce(const struct forward *forward, int fd)
{
	union forward_sockaddr address = { 0 };
	socklen_t len = sizeof(address);

	(void)getsockname(fd, &address.any, &len);
	(void)printf("listening on %s port %u, for port %u of the guest\n", forward->address,
	    ntohs(address.in.sin_port), forward->guest_port);
	if (fflush(stdout) != 0)
		return command_fail("can't say where it listens: %s", strerror(errno));
	return 0;
}

static void *
forward_thread(void *argument)
{
	struct forward_connection *connection = argument;
	struct client_error error = { "" };
	int on = 1;

	(void)setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	/* A peer that went away is nothing to be told of. */
	if (tunnel_run(connection->fd, connection->forward->guest_host,
		connection->forward->guest_port, &error) < 0)
		(void)command_fail("%s", error.text);
	fd_close(&connection->fd);
	free(connection);
	return NULL;
}

static int
forward_start(const struct forward *forward, int fd)
{
	struct forward_connection *connection = malloc(sizeof(*connection));
	pthread_attr_t detached;
	pthread_t thread;
	int r = -ENOMEM;

	if (connection == NULL)
		return r;
	*connection = (struct forward_connection){ .forward = forward, .fd = fd };
	if (pthread_attr_init(&detached) == 0) {
		(void)pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
		r = -pthread_create(&thread, &detached, forward_thread, connection);
		(void)pthread_attr_destroy(&detached);
	}
	if (r < 0)
		free(connection);
	return r;
}

static int
forward_serve(const struct forward *forward)
{
	struct client_error error = { "" };
	int CLEANUP_FD listener = -1;
	int status = client_check_target(target_agent(), &error) < 0
			 ? command_fail("%s", error.text)
			 : forward_listen(forward, &listener);

	if (status != 0)
		return status;
	status = forward_announce(forward, listener);
	if (status != 0)
		return status;
	for (;;) {
		int CLEANUP_FD fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

		if (fd >= 0)
			tunnel_set_reset(fd, true);
		if (fd >= 0 && forward_start(forward, fd) == 0)
			(void)fd_steal(&fd);
		else if (fd >= 0 || (errno != EINTR && errno != ECONNABORTED))
			(void)poll(NULL, 0, FORWARD_PAUSE_MS);
	}
}

static int
forward_run(int count, char **operands)
{
	(void)count;
	if (forward_parse(operands[0], &forward_main) < 0)
		return command_misuse(
		    &forward_command, "'%s' is not [ADDRESS:]PORT:GUESTPORT", operands[0]);
	return forward_serve(&forward_main);
}

const struct command forward_command = {
	.name = "forward",
	.summary = "carry connections to a port here to a port of the guest",
	.usage = "[--host HOST] [ADDRESS:]PORT:GUESTPORT",
	.about =
	    "Listens on PORT of this machine, and carries each connection to GUESTPORT of the\n"
	    "guest, until it is interrupted. The agent connects there from inside, so that it\n"
	    "needs no network, and reaches what listens on the guest's 127.0.0.1 alone.\n",
	.more =
	    "\nEach connection takes one of the agent's workers; where none is to spare, it is\n"
	    "closed with a message here.\n"
	    "\n"
	    "Example: vmm-guest-ctl forward 8080:80\n",
	.options = forward_options,
	.operands_min = 1,
	.operands_max = 1,
	.operands = "which ports? PORT:GUESTPORT, as 8080:80",
	.run = forward_run,
};
