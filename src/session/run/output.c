/*
 * output: from the program to the host.
 *
 * SPDX-License-Identifier: MIT
 */
#include "session/run/output.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "platform/fd.h"

/* A pipe that gave this much in one read is made larger: the program writes a lot. */
#define OUTPUT_PIPE_FULL (64 * 1024)
#define OUTPUT_PIPE_LARGE (1024 * 1024)

/* A terminal gives some 4 KiB a read, and a line where the program writes lines: so much of
 * it, read so often, is put into one frame. What a program writes without a pause waits for
 * no more than that. */
#define OUTPUT_TTY_MAX (60 * 1024)
#define OUTPUT_TTY_READS 16

/* A terminal holds far less than this; a program that writes to it for ever must
 * not keep the end away. */
#define OUTPUT_TTY_LEFT_MAX (1024 * 1024)

static struct output_stream
output_make_stream(int fd, uint8_t type)
{
	return (struct output_stream){ .fd = fd, .ended_fd = -1, .type = type };
}

void
output_init(struct output *output, struct conn *conn, struct owner *owner, int tty_fd,
    int stdout_fd, int stderr_fd)
{
	*output = (struct output){
		.conn = conn,
		.owner = owner,
		.buffer = conn_tx_buffer(),
		.room = VMM_GUEST_DATA_MAX,
		.streams = {
			output_make_stream(tty_fd >= 0 ? tty_fd : stdout_fd, VMM_GUEST_STDOUT),
			output_make_stream(stderr_fd, VMM_GUEST_STDERR),
		},
		.is_tty = tty_fd >= 0,
		.lack.max_ms = conn_stall_ms(conn),
	};
}

/* A read has given nothing, with ERROR, or 0 for end of file. */
static void
output_read_nothing(struct output *output, struct output_stream *stream, int error, uint64_t now_ms)
{
	enum io_side side = output->is_tty ? IO_TERMINAL : IO_PIPE;
	enum io_meaning meaning = error == 0 ? IO_GONE : io_error_read(side, error);

	if (meaning == IO_NOT_NOW && !output->is_cut)
		return;
	/* What is there and can't be read is not quiet. */
	if (meaning == IO_NO_MEMORY)
		output->quiet_since_ms = now_ms;
	if (meaning == IO_NO_MEMORY && io_lack_bear(&output->lack))
		return;
	if (meaning == IO_NO_MEMORY || meaning == IO_BROKEN)
		output->error = -error;
	stream->ended_fd = fd_steal(&stream->fd);
}

static bool
output_may_enlarge(const struct output *output)
{
	return !output->is_tty &&
	       (output->owner == NULL || !owner_keeps_pipes_small(output->owner));
}

/* Reads once, behind the LEN bytes that were read before: up to MOST in all. Returns how much
 * there was; 0 for nothing now, or nothing ever again. */
static size_t
output_read_once(
    struct output *output, struct output_stream *stream, size_t len, size_t most, uint64_t now_ms)
{
	size_t max = most - len;
	ssize_t n;

	if (output->is_cut && stream->left < max)
		max = stream->left;
	do {
		n = read(stream->fd, output->buffer + len, max);
	} while (n < 0 && errno == EINTR);
	if (n <= 0) {
		output_read_nothing(output, stream, n < 0 ? errno : 0, now_ms);
		return 0;
	}
	output->lack.since_ms = 0;
	if (output->is_cut) {
		stream->left -= (size_t)n;
		if (stream->left == 0)
			fd_close(&stream->fd);
	} else if (n == OUTPUT_PIPE_FULL && output_may_enlarge(output)) {
		(void)fcntl(stream->fd, F_SETPIPE_SZ, OUTPUT_PIPE_LARGE);
	}
	return (size_t)n;
}

/* Reads what is to be one frame. Returns how much that is; 0: nothing. */
static size_t
output_read(struct output *output, struct output_stream *stream, uint64_t now_ms)
{
	int reads = output->is_tty ? OUTPUT_TTY_READS : 1;
	size_t most = output->room;
	size_t len = 0;
	size_t n;

	if (output->is_tty && most > OUTPUT_TTY_MAX)
		most = OUTPUT_TTY_MAX;
	do {
		n = output_read_once(output, stream, len, most, now_ms);
		len += n;
	} while (--reads > 0 && n > 0 && len < most && stream->fd >= 0);
	return len;
}

int
output_push(struct output *output, uint64_t now_ms)
{
	int r = conn_push(output->conn);

	if (r == 0)
		output->quiet_since_ms = now_ms;
	return r == -EAGAIN ? 0 : r;
}

void
output_look(struct output *output)
{
	output->room = owner_room(output->owner);
	output->buffer = owner_buffer(output->owner);
}

/* What was read goes where it is to go. Returns 0, or -EPIPE where the host has gone. */
static int
output_pass_on(struct output *output, uint8_t type, size_t len, uint64_t now_ms)
{
	int r;

	if (output->is_dropped)
		return 0;
	if (output->owner == NULL) {
		conn_begin_push(output->conn, type, len, false);
		return output_push(output, now_ms);
	}
	r = owner_take_output(output->owner, type == VMM_GUEST_STDERR, len);
	if (r < 0)
		output->error = r;
	output_look(output);
	return 0;
}

int
output_pump(struct output *output, const bool *ready, uint64_t now_ms)
{
	int r = 0;

	for (int i = 0; i < OUTPUT_STREAMS && r == 0 && output_may_read(output); i++) {
		struct output_stream *stream = &output->streams[i];
		size_t len;

		if (stream->fd < 0 || !ready[i])
			continue;
		len = output_read(output, stream, now_ms);
		if (len == 0)
			continue;
		output->quiet_since_ms = now_ms;
		r = output_pass_on(output, stream->type, len, now_ms);
	}
	return r;
}

bool
output_is_open(const struct output *output)
{
	return output->streams[0].fd >= 0 || output->streams[1].fd >= 0;
}

/* Whether a process can still write to it. */
static bool
output_is_held(int fd)
{
	struct pollfd look = { .fd = fd };

	return poll(&look, 1, 0) == 0;
}

void
output_cut(struct output *output)
{
	output->is_cut = true;
	for (int i = 0; i < OUTPUT_STREAMS; i++) {
		struct output_stream *stream = &output->streams[i];
		int available = 0;

		if (stream->fd < 0)
			continue;
		if (output_is_held(stream->fd))
			output->was_held = true;
		if (output->is_tty || ioctl(stream->fd, FIONREAD, &available) < 0)
			stream->left = OUTPUT_TTY_LEFT_MAX;
		else
			stream->left = (size_t)available;
		if (stream->left == 0)
			fd_close(&stream->fd);
	}
}

void
output_drop(struct output *output)
{
	output->is_dropped = true;
	conn_stop_pushing(output->conn);
}

void
output_close(struct output *output)
{
	for (int i = 0; i < OUTPUT_STREAMS; i++) {
		fd_close(&output->streams[i].fd);
		fd_close(&output->streams[i].ended_fd);
	}
}
