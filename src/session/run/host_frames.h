/*
 * host_frames: what the host of a running session sends. Takes the frames out of the
 * connection and acts on them: STDIN and EOF go to the program's standard input, RESIZE to
 * its terminal, SIGNAL to its process group. Other frames are skipped. Of a durable session
 * these count as long as this host holds the input; besides there are OUTPUT_ACK and DETACH,
 * behind which nothing is taken.
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
#include "session/durable/owner.h"
#include "session/run/input.h"
#include "session/run/process_tree.h"

/* The payload of RESIZE, SIGNAL and OUTPUT_ACK, of which more is ignored. */
#define HOST_FRAMES_CONTROL_MAX 8

/* All but the last four are borrowed. */
struct host_frames {
	struct conn *conn;
	struct input *input;
	const struct process_tree *tree;
	struct owner *owner; /* of a durable session, else NULL */
	bool has_detached;
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
