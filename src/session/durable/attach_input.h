/*
 * attach_input: from an attached host to its session: takes the frames out of the
 * connection and leaves what they ask for where the session's owner finds it.
 *
 *   - STDIN and EOF go in order, and wait in the connection's buffer while the owner has no
 *     room for them. So does SIGNAL while the owner has not taken those before it.
 *   - RESIZE and SIGNAL go beside the bytes.
 *   - All of these, and OUTPUT_ACK, count for the holder of the input alone.
 *   - Nothing behind DETACH is acted on. Other frames are skipped.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SESSION_DURABLE_ATTACH_INPUT_H
#define SESSION_DURABLE_ATTACH_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "session/durable/follow.h"

/* The longest payload of a frame but STDIN of which anything is used. */
#define ATTACH_INPUT_CONTROL_MAX 8

struct attach_input {
	struct follow *follow; /* borrowed */
	const uint8_t *bytes;  /* STDIN not yet taken by the owner, in the connection's buffer */
	size_t len;
	bool is_in_frame; /* one is taken, or not yet acted on */
	bool waits;	  /* for the owner: the connection is not to be read */
	bool has_detached;
	uint8_t type; /* of the frame */
	uint8_t control[ATTACH_INPUT_CONTROL_MAX];
	size_t control_len;
};

/* Takes all frames that stand in the connection's buffer, as far as the owner has room for
 * them. Never waits. Returns 0; -EMSGSIZE where the host announced a frame above the limit;
 * or -errno where STDIN can't be passed on. */
int attach_input_take(struct attach_input *input);

#endif
