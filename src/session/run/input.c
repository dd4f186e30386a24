/*
 * input: the program's standard input.
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
#include "vmm-guest/protocol.h"

/* A pipe that was found full is made this large, if the kernel lets us: what goes through it stays
 * in a cache of the processor, which more would not. */
#define INPUT_PIPE_LARGE (256 * 1024)

/* How many end-of-file characters one EOF may take. */
#define INPUT_EOF_MAX 2

void
input_init(struct input *input, int fd, int tty_fd, int stall_ms)
{
	*input = (struct input){
		.fd = fd,
		.tty_fd = tty_fd,
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

/* Types the terminal's end-of-file character behind what is held: twice where a
 * line was begun, as the first only ends the line. */
static void
input_type_eof(struct input *input)
{
	size_t held = held_input_len();
	char last = held > 0 ? (char)held_input_bytes()[held - 1] : input->last_typed;
	char eof[INPUT_EOF_MAX];
	bool canonical = false;

	input->eof_pending = false;
	if (pty_get_eof(input->tty_fd, &eof[0], &canonical) < 0)
		return;
	eof[1] = eof[0];
	(void)held_input_append(eof, canonical && last != '\n' && last != eof[0] ? 2 : 1);
}

size_t
input_room(const struct input *input)
{
	size_t held = held_input_len() + (input->eof_pending ? INPUT_EOF_MAX : 0);

	if (!input_is_open(input))
		return SIZE_MAX;
	return held < VMM_GUEST_STDIN_HELD_MAX ? VMM_GUEST_STDIN_HELD_MAX - held : 0;
}

void
input_put(struct input *input, const uint8_t *bytes, size_t len)
{
	size_t done = 0;

	if (!input_is_open(input))
		return;
	if (input->eof_pending)
		input_type_eof(input);
	if (held_input_len() == 0)
		done = input_write(input, bytes, len);
	if (done < len)
		(void)held_input_append(bytes + done, len - done);
}

void
input_put_eof(struct input *input)
{
	if (input->fd < 0)
		return;
	if (input->eof_pending && input->tty_fd >= 0)
		input_type_eof(input);
	input->eof_pending = true;
	input_flush(input);
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
