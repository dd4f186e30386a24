/*
 * streams: the three standard streams of a session's program.
 *
 * SPDX-License-Identifier: MIT
 */
#include "session/run/streams.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "platform/fd.h"
#include "platform/pty.h"

#define STREAMS_NULL_PATH "/dev/null"
#define STREAMS_PIPE "a pipe"

static int
streams_open_null(int *ret_fd, const char **ret_what)
{
	int fd = open(STREAMS_NULL_PATH, O_RDWR | O_CLOEXEC | O_NOCTTY);

	*ret_what = STREAMS_NULL_PATH;
	if (fd < 0)
		return -errno;
	*ret_fd = fd;
	return 0;
}

/* The pipe of the stream of that number, of which we keep the one end: to write to a
 * program's input, and to read from the others. */
struct streams_pipe {
	int ours_fd;
	int child_fd;
};

static struct streams_pipe streams_ready[3] = { { -1, -1 }, { -1, -1 }, { -1, -1 } };

static int
streams_make_pipe(int number)
{
	struct streams_pipe *pipe = &streams_ready[number];
	int ours = number == STDIN_FILENO ? 1 : 0;
	int fds[2];

	if (pipe->ours_fd >= 0)
		return 0;
	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	*pipe = (struct streams_pipe){ .ours_fd = fds[ours], .child_fd = fds[1 - ours] };
	/* A new pipe has no other flags that would be lost. */
	(void)fcntl(pipe->ours_fd, F_SETFL, O_NONBLOCK);
	return 0;
}

void
streams_prepare(void)
{
	for (int number = 0; number < 3; number++)
		(void)streams_make_pipe(number);
}

static int
streams_open_pipe(const struct run_as *user, int number, int *ret_ours_fd, int *ret_child_fd)
{
	int r = streams_make_pipe(number);

	if (r < 0)
		return r;
	*ret_ours_fd = fd_steal(&streams_ready[number].ours_fd);
	*ret_child_fd = fd_steal(&streams_ready[number].child_fd);
	if (user != NULL && fchown(*ret_ours_fd, user->uid, user->gid) < 0)
		return -errno;
	return 0;
}

static int
streams_open_stdin(const struct start_request *request, const struct run_as *user,
    struct streams *streams, const char **ret_what)
{
	if (!request->stdin_open || request->detach)
		return streams_open_null(&streams->child[0], ret_what);
	*ret_what = STREAMS_PIPE;
	return streams_open_pipe(user, STDIN_FILENO, &streams->stdin_fd, &streams->child[0]);
}

static int
streams_open_pipes(const struct start_request *request, const struct run_as *user,
    struct streams *streams, const char **ret_what)
{
	int r = streams_open_stdin(request, user, streams, ret_what);

	if (r < 0)
		return r;
	if (request->detach) {
		r = streams_open_null(&streams->child[1], ret_what);
		return r < 0 ? r : streams_open_null(&streams->child[2], ret_what);
	}
	*ret_what = STREAMS_PIPE;
	r = streams_open_pipe(user, STDOUT_FILENO, &streams->stdout_fd, &streams->child[1]);
	if (r < 0)
		return r;
	return streams_open_pipe(user, STDERR_FILENO, &streams->stderr_fd, &streams->child[2]);
}

static int
streams_dup(int fd, int *ret_fd, const char **ret_what)
{
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);

	*ret_what = "a copy of the terminal";
	if (copy < 0)
		return -errno;
	*ret_fd = copy;
	return 0;
}

static int
streams_open_tty(const struct start_request *request, const struct run_as *user,
    struct streams *streams, const char **ret_what)
{
	int r = pty_open(&streams->tty_fd, &streams->tty_slave_fd, ret_what);

	if (r < 0)
		return r;
	r = pty_set_owner(streams->tty_slave_fd, user != NULL ? user->uid : geteuid());
	/* Without the right to give it away it is our own already. */
	if (r < 0 && user != NULL)
		return r;
	(void)pty_set_size(streams->tty_fd, request->tty_width, request->tty_height);
	for (int i = 0; i < 3; i++) {
		if (i == 0 && !request->stdin_open)
			r = streams_open_null(&streams->child[0], ret_what);
		else
			r = streams_dup(streams->tty_slave_fd, &streams->child[i], ret_what);
		if (r < 0)
			return r;
	}
	return request->stdin_open ? streams_dup(streams->tty_fd, &streams->stdin_fd, ret_what) : 0;
}

int
streams_open(const struct start_request *request, const struct run_as *user, struct streams *ret,
    const char **ret_what)
{
	struct streams streams = STREAMS_NONE;
	int r;

	if (request->tty)
		r = streams_open_tty(request, user, &streams, ret_what);
	else
		r = streams_open_pipes(request, user, &streams, ret_what);
	if (r < 0)
		streams_close(&streams);
	*ret = streams;
	return r;
}

void
streams_close_child(struct streams *streams)
{
	for (int i = 0; i < 3; i++)
		fd_close(&streams->child[i]);
}

void
streams_close(struct streams *streams)
{
	streams_close_child(streams);
	fd_close(&streams->stdin_fd);
	fd_close(&streams->stdout_fd);
	fd_close(&streams->stderr_fd);
	fd_close(&streams->tty_fd);
	fd_close(&streams->tty_slave_fd);
}
