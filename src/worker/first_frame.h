/*
 * first_frame: the beginning of a connection: which port it wants, and the whole of its
 * first frame, within the time limit.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef WORKER_FIRST_FRAME_H
#define WORKER_FIRST_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "session/session.h"
#include "worker/worker.h"

struct first_frame {
	enum worker_port port; /* the handshake, if there is one, is over where it says which */
	uint64_t until_ms;     /* when its time is over, by clock_mono_ms() */
	bool is_file_port;
	bool is_begun;		/* a first byte of the first frame has come */
	uint8_t type;		/* of the first frame */
	const uint8_t *payload; /* borrowed from the connection */
	size_t len;
	bool is_too_long; /* the payload is above what any request may have: it was
			   * read and dropped */
};

/* Reads the first frame of SESSION's connection, of which *RET has port and until_ms, and
 * tells its slot the reply style by which it may be refused. Returns 0 with *RET; -EBADMSG (no
 * handshake), -EPIPE, -ETIMEDOUT, -ECANCELED; or
 * -EMSGSIZE: the frame is longer than a frame may be. Where it fails and the host has
 * begun its first frame, *RET has port and type: it is owed an answer, unless it has
 * gone. If CAN_PARK, -EAGAIN: no worker is idle and it has said nothing, not even its handshake
 * or since; *RET says for which port it is, and until when it may be parked, and may be handed in
 * again. */
int first_frame_read(struct session *session, const struct worker_settings *settings, bool can_park,
    struct first_frame *ret);

/* Reads the first frame of another request, which has begun. If IT_IS_THERE nothing is
 * waited for: -ETIMEDOUT where it is not there whole. Else as first_frame_read(). */
int first_frame_read_next(struct session *session, const struct worker_settings *settings,
    bool it_is_there, struct first_frame *ret);

#endif
