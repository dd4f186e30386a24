/*
 * forward: "vmm-guest-ctl forward": a port or Unix socket of this machine, or standard
 * input and output, that leads into the guest.
 *
 * SPDX-License-Identifier: MIT
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctl/command.h"
#include "ctl/forward_spec.h"
#include "ctl/signals.h"
#include "ctl/target.h"
#include "ctl/tunnel.h"
#include "platform/fd.h"

#define FORWARD_BACKLOG 128

/* Where no descriptor or memory is to be had for one more. */
#define FORWARD_PAUSE_MS 100

#define FORWARD_TEXT                                                                               \
	"[ADDRESS:]PORT:TARGET or PATH:TARGET, with a PORT, HOST:PORT or /PATH of the guest"

static struct forward_spec forward_main;
static const char *forward_host;
static bool forward_is_standard;

static const struct options_row forward_options[] = {
	OPTIONS_OPERAND("ADDRESS",
	    "of this machine to listen on (default: 127.0.0.1), an IPv6 one in brackets; 0.0.0.0 "
	    "lets other machines in"),
	OPTIONS_OPERAND("PORT", "0 takes one that is free"),
	OPTIONS_OPERAND("PATH",
	    "of this machine, begins with '/' or './': a Unix socket to listen on, which only its "
	    "owner may use; it is removed at the end"),
	OPTIONS_OPERAND("TARGET",
	    "where it leads in the guest: a PORT of its 127.0.0.1, HOST:PORT, or the absolute path "
	    "of a Unix socket; HOST is an address that the guest reaches, or localhost"),
	OPTIONS_TEXT("host", 0, "HOST", &forward_host, "the same as HOST in TARGET"),
	OPTIONS_FLAG("stdio", 0, &forward_is_standard,
	    "carry standard input and output instead, for one connection, as ssh's ProxyCommand"),
	OPTIONS_END,
};

struct forward_connection {
	const struct forward_spec *spec;
	int fd;
};

/* Whether ADDRESS is a Unix socket, on which nobody listens any more: a file refuses as well. */
static bool
forward_is_left(const union forward_address *address)
{
	int CLEANUP_FD fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct stat st;

	return fd >= 0 && lstat(address->un.sun_path, &st) == 0 && S_ISSOCK(st.st_mode) &&
	       connect(fd, &address->any, sizeof(address->un)) < 0 && errno == ECONNREFUSED;
}

/* A Unix socket is its owner's alone; one that was left behind gives way. */
static int
forward_bind(const struct forward_spec *spec, int fd)
{
	const struct sockaddr *address = &spec->address.any;
	mode_t mask;
	int r;

	if (address->sa_family != AF_UNIX)
		return bind(fd, address, spec->address_len) < 0 ? -errno : 0;
	mask = umask(S_IXUSR | S_IRWXG | S_IRWXO);
	r = bind(fd, address, spec->address_len) < 0 ? -errno : 0;
	if (r == -EADDRINUSE && forward_is_left(&spec->address) && unlink(spec->name) == 0)
		r = bind(fd, address, spec->address_len) < 0 ? -errno : 0;
	(void)umask(mask);
	return r;
}

/* Listens. Returns 0 with *RET_FD; or the exit status, after a complaint. */
static int
forward_listen(const struct forward_spec *spec, int *ret_fd)
{
	int CLEANUP_FD fd = socket(spec->address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int on = 1;
	int r = fd < 0 ? -errno : 0;

	if (r == 0 && spec->address.any.sa_family != AF_UNIX)
		(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (r == 0)
		r = forward_bind(spec, fd);
	if (r == 0 && listen(fd, FORWARD_BACKLOG) < 0)
		r = -errno;
	if (r < 0 && spec->address.any.sa_family == AF_UNIX)
		return command_fail("can't listen on %s: %s", spec->name, strerror(-r));
	if (r < 0)
		return command_fail("can't listen on %s, port %u: %s", spec->name,
		    ntohs(spec->address.in.sin_port), strerror(-r));
	*ret_fd = fd_steal(&fd);
	return 0;
}

/* Says where it listens: the port may have been chosen just now. Of both kinds of
 * address the port stands in the same place. */
static int
forward_announce(const struct forward_spec *spec, int fd)
{
	union forward_address address = { 0 };
	socklen_t len = sizeof(address);

	(void)getsockname(fd, &address.any, &len);
	(void)printf("listening on %s", spec->name);
	if (spec->address.any.sa_family != AF_UNIX)
		(void)printf(" port %u", ntohs(address.in.sin_port));
	if (spec->target.path != NULL)
		(void)printf(", for %s of the guest\n", spec->target.path);
	else
		(void)printf(", for port %u of the guest\n", spec->target.port);
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
	if (tunnel_run(connection->fd, &connection->spec->target, &error) < 0)
		(void)command_fail("%s", error.text);
	fd_close(&connection->fd);
	free(connection);
	return NULL;
}

static int
forward_start(const struct forward_spec *spec, int fd)
{
	struct forward_connection *connection = malloc(sizeof(*connection));
	pthread_attr_t detached;
	pthread_t thread;
	int r = -ENOMEM;

	if (connection == NULL)
		return r;
	*connection = (struct forward_connection){ .spec = spec, .fd = fd };
	if (pthread_attr_init(&detached) == 0) {
		(void)pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
		r = -pthread_create(&thread, &detached, forward_thread, connection);
		(void)pthread_attr_destroy(&detached);
	}
	if (r < 0)
		free(connection);
	return r;
}

/* Takes one connection, or waits for a moment. */
static void
forward_accept(const struct forward_spec *spec, int listener)
{
	int CLEANUP_FD fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

	if (fd >= 0)
		tunnel_set_reset(fd, true);
	if (fd >= 0 && forward_start(spec, fd) == 0)
		(void)fd_steal(&fd);
	else if (fd >= 0 || (errno != EINTR && errno != ECONNABORTED))
		(void)poll(NULL, 0, FORWARD_PAUSE_MS);
}

/* A socket in the file system must not stay behind. */
static _Noreturn void
forward_serve_path(const struct forward_spec *spec, int listener)
{
	struct pollfd polls[] = {
		{ .fd = listener, .events = POLLIN },
		{ .fd = signals_fd(), .events = POLLIN },
	};

	for (;;) {
		int signal = signals_take();

		if (signal != 0) {
			(void)unlink(spec->name);
			signals_die(signal);
		}
		if (poll(polls, 2, -1) > 0 && polls[0].revents != 0)
			forward_accept(spec, listener);
	}
}

static int
forward_serve(const struct forward_spec *spec)
{
	struct client_error error = { "" };
	bool is_path = spec->address.any.sa_family == AF_UNIX;
	int CLEANUP_FD listener = -1;
	int status;

	if (client_check_target(target_agent(), &error) < 0)
		return command_fail("%s", error.text);
	if (is_path) {
		signals_catch(SIGINT);
		signals_catch(SIGTERM);
		signals_catch(SIGHUP);
	}
	status = forward_listen(spec, &listener);
	if (status != 0)
		return status;
	status = forward_announce(spec, listener);
	if (status != 0) {
		if (is_path)
			(void)unlink(spec->name);
		return status;
	}
	if (is_path)
		forward_serve_path(spec, listener);
	for (;;)
		forward_accept(spec, listener);
}

static int
forward_run_standard(const struct tunnel_target *target)
{
	struct client_error error = { "" };

	return tunnel_run_standard(target, &error) < 0 ? command_fail("%s", error.text) : 0;
}

static int
forward_run(int count, char **operands)
{
	struct tunnel_target *target = &forward_main.target;
	char whole[256];
	int r;

	(void)count;
	(void)strlcpy(whole, operands[0], sizeof(whole));
	r = forward_is_standard ? forward_spec_parse_target(operands[0], target)
				: forward_spec_parse(operands[0], &forward_main);
	if (r < 0)
		return command_misuse(&forward_command, "'%s' is not %s", whole,
		    forward_is_standard ? "a PORT, HOST:PORT or /PATH of the guest" : FORWARD_TEXT);
	if (forward_host != NULL && (target->host != NULL || target->path != NULL))
		return command_misuse(&forward_command, "--host goes with a port alone");
	if (forward_host != NULL)
		target->host = forward_host;
	return forward_is_standard ? forward_run_standard(target) : forward_serve(&forward_main);
}

const struct command forward_command = {
	.name = "forward",
	.summary = "carry connections to a port or socket here into the guest",
	.usage = "[--host HOST] [ADDRESS:]PORT:TARGET\nPATH:TARGET\n--stdio TARGET",
	.about = "Listens on PORT or PATH of this machine, and carries each connection to TARGET\n"
		 "in the guest, until it is interrupted. The agent connects there from inside, so\n"
		 "that it needs no network, and reaches what listens on the guest's 127.0.0.1\n"
		 "alone.\n",
	.more =
	    "\nEach connection takes one of the agent's workers; where none is to spare, it is\n"
	    "closed with a message here.\n"
	    "\n"
	    "With --stdio the exit status is 0 when both directions came to their end; or 1.\n"
	    "\n"
	    "Examples:\n"
	    "  vmm-guest-ctl forward 8080:80\n"
	    "  vmm-guest-ctl forward 8080:localhost:80\n"
	    "  vmm-guest-ctl forward ./docker.sock:/run/docker.sock\n"
	    "  ssh -o ProxyCommand='vmm-guest-ctl forward --stdio 22' root@guest\n",
	.options = forward_options,
	.operands_min = 1,
	.operands_max = 1,
	.operands = "which ports? PORT:TARGET, as 8080:80",
	.run = forward_run,
};
