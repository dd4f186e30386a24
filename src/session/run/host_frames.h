/*
 * host_frames: what the host of a running session sends. Takes the frames out of the
 * connection and acts on them: STDIN and EOF go to the program's standard input, RESIZE to
 * its terminal, SIGNAL to its process group. Other frames are skipped.
 *
 * While the program's input takes no more, no further frame is taken: frames behind it
 * wait, and the connection is not read.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SESSION_RUN_HOST_FRAMES_H
#define SESSION_RUN_HOST_FRAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "session/conn.h"
#include "session/run/input.h"
#include "session/run/process_tree.h"

/* The payload of RESIZE and SIGNAL, of which more is ignored. */
#define HOST_FRAMES_CONTROL_MAX 4

/* All but the last three are borrowed. */
struct host_frames {
	struct conn *conn;
	struct input *input;
	const struct process_tree *tree;
	uint8_t type; /* of the frame whose payload is being taken */
	uint8_t control[HOST_FRAMES_CONTROL_MAX];
	size_t control_len;
};

/* Takes all frames that stand in the connection's buffer. Returns 0, or -EMSGSIZE where the
 * host announced a frame above the limit: all that it sends after that is dropped.
 * Never waits. */
int host_frames_take(struct host_frames *frames);

/* Whether the connection should not be read now. */
bool host_frames_must_wait(const struct host_frames *frames);

#endif
