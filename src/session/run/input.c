/*
 * input: from the host to the program.
 *
 * SPDX-License-Identifier: MIT
 */
#include "session/run/input.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "platform/fd.h"
#include "platform/pty.h"

/* A pipe that was found full is made this large, if the kernel lets us. */
#define INPUT_PIPE_LARGE (1024 * 1024)

void
input_init(struct input *input, int fd, int tty_fd, const struct process_tree *tree, int stall_ms)
{
	*input = (struct input){
		.fd = fd,
		.tty_fd = tty_fd,
		.tree = tree,
		.last_typed = '\n',
		.lack.max_ms = stall_ms,
	};
	held_input_init();
}

void
input_close(struct input *input)
{
	fd_close(&input->fd);
	input->eof_pending = false;
	held_input_done();
}

/* A write has failed. Returns whether it is to be made again later; else the program's
 * input is closed. */
static bool
input_is_to_wait(struct input *input, int error)
{
	enum io_meaning meaning = io_error_read(input->tty_fd >= 0 ? IO_TERMINAL : IO_PIPE, error);

	if (meaning == IO_NOT_NOW || (meaning == IO_NO_MEMORY && io_lack_bear(&input->lack)))
		return true;
	if (meaning != IO_GONE)
		input->error = -error;
	input_close(input);
	return false;
}

/* Writes as much as is taken without waiting; closes where nobody reads. */
static size_t
input_write(struct input *input, const uint8_t *bytes, size_t len)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = write(input->fd, bytes + done, len - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && input_is_to_wait(input, errno))
			break;
		if (n < 0)
			return len;
		input->lack.since_ms = 0;
		done += (size_t)n;
	}
	if (done > 0)
		input->last_typed = (char)bytes[done - 1];
	if (done < len && input->tty_fd < 0 && !input->pipe_is_large) {
		input->pipe_is_large = true;
		if (fcntl(input->fd, F_SETPIPE_SZ, INPUT_PIPE_LARGE) > 0)
			return done + input_write(input, bytes + done, len - done);
	}
	return done;
}

/* Takes what fits of the STDIN payload that stands in the buffer. Returns false
 * if some of it must wait there. */
static bool
input_take_stdin(struct input *input, struct conn *conn)
{
	const uint8_t *bytes;
	size_t len;
	size_t done = 0;

	if (input->fd < 0 || (input->eof_pending && input->tty_fd < 0)) {
		(void)conn_take(conn, SIZE_MAX, &bytes);
		return true;
	}
	if (held_input_len() == 0) {
		len = conn_take(conn, VMM_GUEST_STDIN_HELD_MAX, &bytes);
		if (len > 0)
			done = input_write(input, bytes, len);
	} else {
		len = conn_take(conn, VMM_GUEST_STDIN_HELD_MAX - held_input_len(), &bytes);
	}
	if (done < len)
		(void)held_input_append(bytes + done, len - done);
	return !input_is_full(input, conn);
}

/* Types the terminal's end-of-file character behind what is held: twice where a
 * line was begun, as the first only ends the line. */
static void
input_type_eof(struct input *input)
{
	size_t held = held_input_len();
	char last = held > 0 ? (char)held_input_bytes()[held - 1] : input->last_typed;
	char eof[2];
	bool canonical = false;

	input->eof_pending = false;
	if (pty_get_eof(input->tty_fd, &eof[0], &canonical) < 0)
		return;
	eof[1] = eof[0];
	(void)held_input_append(eof, canonical && last != '\n' && last != eof[0] ? 2 : 1);
}

static void
input_take_eof(struct input *input)
{
	if (input->fd < 0)
		return;
	if (input->eof_pending && input->tty_fd >= 0)
		input_type_eof(input);
	input->eof_pending = true;
	input_flush(input);
}

/* Acts on a frame whose payload has been taken whole. */
static void
input_act(struct input *input)
{
	struct frame_resize size;
	int signal;

	if (input->type == VMM_GUEST_RESIZE && input->tty_fd >= 0 &&
	    frame_resize_parse(input->control, input->control_len, &size) == 0)
		(void)pty_set_size(input->tty_fd, size.columns, size.rows);
	if (input->type == VMM_GUEST_SIGNAL &&
	    frame_signal_parse(input->control, input->control_len, &signal) == 0)
		process_tree_signal(input->tree, signal);
}

/* Takes what is there of the current payload. Returns false if it must wait. */
static bool
input_take_payload(struct input *input, struct conn *conn)
{
	const uint8_t *bytes;
	size_t len;

	if (input->type == VMM_GUEST_STDIN)
		return input_take_stdin(input, conn);
	while ((len = conn_take(conn, SIZE_MAX, &bytes)) > 0) {
		size_t room = sizeof(input->control) - input->control_len;

		if (len > room)
			len = room;
		memcpy(input->control + input->control_len, bytes, len);
		input->control_len += len;
	}
	return true;
}

int
input_take_frames(struct input *input, struct conn *conn)
{
	struct frame_header header;
	int r;

	for (;;) {
		if (conn_in_payload(conn)) {
			if (!input_take_payload(input, conn))
				return 0;
			if (conn_in_payload(conn))
				return 0;
			input_act(input);
		}
		r = conn_parse_header(conn, &header);
		if (r == -EAGAIN)
			return 0;
		if (r < 0) {
			input->type = 0;
			conn_lose_track(conn);
			return r;
		}
		input->type = header.type;
		input->control_len = 0;
		if (header.type == VMM_GUEST_STDIN && header.len > 0 && input->eof_pending &&
		    input->tty_fd >= 0 && input->fd >= 0)
			input_type_eof(input);
		if (header.type == VMM_GUEST_EOF)
			input_take_eof(input);
	}
}

void
input_flush(struct input *input)
{
	size_t len;

	while (input->fd >= 0) {
		len = held_input_len();
		if (len > 0) {
			size_t done = input_write(input, held_input_bytes(), len);

			if (input->fd < 0)
				return;
			held_input_drop(done);
			if (done < len)
				return;
		}
		if (!input->eof_pending)
			return;
		if (input->tty_fd < 0) {
			input_close(input);
			return;
		}
		input_type_eof(input);
	}
}

bool
input_is_full(const struct input *input, const struct conn *conn)
{
	return input->fd >= 0 && input->type == VMM_GUEST_STDIN && conn_in_payload(conn) &&
	       held_input_len() == VMM_GUEST_STDIN_HELD_MAX;
}
