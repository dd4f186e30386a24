/*
 * host_frames: what the host of a running session sends.
 *
 * SPDX-License-Identifier: MIT
 */
#include "session/run/host_frames.h"

#include <errno.h>
#include <string.h>

#include "platform/pty.h"
#include "protocol/frame.h"

static void
host_frames_take_stdin(struct host_frames *frames)
{
	const uint8_t *bytes;
	size_t len;

	while ((len = conn_take(frames->conn, input_room(frames->input), &bytes)) > 0)
		input_put(frames->input, bytes, len);
}

static void
host_frames_take_control(struct host_frames *frames)
{
	const uint8_t *bytes;
	size_t len;

	while ((len = conn_take(frames->conn, SIZE_MAX, &bytes)) > 0) {
		size_t room = sizeof(frames->control) - frames->control_len;

		if (len > room)
			len = room;
		memcpy(frames->control + frames->control_len, bytes, len);
		frames->control_len += len;
	}
}

/* Acts on a frame whose payload has been taken whole. */
static void
host_frames_act(struct host_frames *frames)
{
	struct frame_resize size;
	int tty_fd = frames->input->tty_fd;
	int signal;

	if (frames->type == VMM_GUEST_RESIZE && tty_fd >= 0 &&
	    frame_resize_parse(frames->control, frames->control_len, &size) == 0)
		(void)pty_set_size(tty_fd, size.columns, size.rows);
	if (frames->type == VMM_GUEST_SIGNAL &&
	    frame_signal_parse(frames->control, frames->control_len, &signal) == 0)
		process_tree_signal(frames->tree, signal);
}

int
host_frames_take(struct host_frames *frames)
{
	struct frame_header header;
	int r;

	for (;;) {
		if (conn_in_payload(frames->conn)) {
			if (frames->type == VMM_GUEST_STDIN)
				host_frames_take_stdin(frames);
			else
				host_frames_take_control(frames);
			if (conn_in_payload(frames->conn))
				return 0;
			host_frames_act(frames);
		}
		r = conn_parse_header(frames->conn, &header);
		if (r == -EAGAIN)
			return 0;
		if (r < 0) {
			frames->type = 0;
			conn_lose_track(frames->conn);
			return r;
		}
		frames->type = header.type;
		frames->control_len = 0;
		if (header.type == VMM_GUEST_EOF)
			input_put_eof(frames->input);
	}
}

bool
host_frames_must_wait(const struct host_frames *frames)
{
	return frames->type == VMM_GUEST_STDIN && conn_in_payload(frames->conn) &&
	       input_room(frames->input) == 0;
}
