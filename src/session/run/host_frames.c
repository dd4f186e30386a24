/*
 * host_frames: what the host of a running session sends.
 *
 * SPDX-License-Identifier: MIT
 */
#include "session/run/host_frames.h"

#include <errno.h>

#include "platform/pty.h"
#include "protocol/frame.h"

/* Whether this host has to do with the program's input. */
static bool
host_frames_count(const struct host_frames *frames)
{
	return frames->owner == NULL || owner_host_holds(frames->owner);
}

static size_t
host_frames_room(const struct host_frames *frames)
{
	return host_frames_count(frames) ? input_room(frames->input) : SIZE_MAX;
}

/* Whether LEN bytes, or with CLOSES an EOF, are the program's. */
static bool
host_frames_publish(struct host_frames *frames, size_t len, bool closes)
{
	return frames->owner == NULL || owner_publish(frames->owner, len, closes);
}

static void
host_frames_take_stdin(struct host_frames *frames)
{
	const uint8_t *bytes;
	size_t len;

	do {
		len = conn_take_joined(frames->conn, host_frames_room(frames), &bytes);
		if (len > 0 && host_frames_publish(frames, len, false))
			input_put(frames->input, bytes, len);
	} while (len > 0 && conn_in_payload(frames->conn));
}

static void
host_frames_take_eof(struct host_frames *frames)
{
	if (host_frames_publish(frames, 0, frames->input->tty_fd < 0))
		input_put_eof(frames->input);
}

static void
host_frames_resize(struct host_frames *frames, struct frame_resize size)
{
	int tty_fd = frames->input->tty_fd;

	if (tty_fd < 0 || !host_frames_count(frames))
		return;
	(void)pty_set_size(tty_fd, size.columns, size.rows);
	if (frames->owner != NULL)
		owner_set_size(frames->owner, size.columns, size.rows);
}

/* Acts on a frame whose payload has been taken whole. */
static void
host_frames_act(struct host_frames *frames)
{
	struct frame_resize size;
	uint64_t offset;
	int signal;

	if (frames->type == VMM_GUEST_RESIZE &&
	    frame_resize_parse(frames->control, frames->control_len, &size) == 0)
		host_frames_resize(frames, size);
	if (frames->type == VMM_GUEST_SIGNAL &&
	    frame_signal_parse(frames->control, frames->control_len, &signal) == 0 &&
	    host_frames_count(frames))
		process_tree_signal(frames->tree, signal);
	if (frames->type == VMM_GUEST_OUTPUT_ACK && frames->owner != NULL &&
	    frame_output_ack_parse(frames->control, frames->control_len, &offset) == 0)
		follow_ack(&frames->owner->follow, offset);
}

int
host_frames_take(struct host_frames *frames)
{
	struct frame_header header;
	int r;

	while (!frames->has_detached) {
		if (conn_in_payload(frames->conn)) {
			if (frames->type == VMM_GUEST_STDIN)
				host_frames_take_stdin(frames);
			else
				conn_take_head(frames->conn, frames->control,
				    sizeof(frames->control), &frames->control_len);
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
			host_frames_take_eof(frames);
		if (header.type == VMM_GUEST_DETACH && frames->owner != NULL) {
			frames->has_detached = true;
			owner_detach(frames->owner, NULL);
		}
	}
	return 0;
}

bool
host_frames_must_wait(const struct host_frames *frames)
{
	if (frames->has_detached)
		return true;
	return frames->type == VMM_GUEST_STDIN && conn_in_payload(frames->conn) &&
	       host_frames_room(frames) == 0;
}
