/*
 * next_frame: another request on a connection whose request said `more`: how long it is
 * waited for, and when the worker is given back instead.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef WORKER_NEXT_FRAME_H
#define WORKER_NEXT_FRAME_H

#include "worker/first_frame.h"

struct next_frame {
	int listeners_fd; /* it shows events where somebody has connected; borrowed */
	bool is_due;	  /* the worker is to be given back where no other request has come */
	bool is_last;	  /* at once: nothing is begun that is not there whole */
	/* Since room for answers, signals and new connections were last looked for: */
	uint8_t requests;
	uint64_t looked_ms;
	uint64_t bytes_out;
};

/* Reads the first frame of the next request of SESSION. In the time until its first byte the
 * slot is in phase SLOT_LAST_SENT, as nothing is owed. NEXT is cleared at first, but for its
 * first three members; IS_LAST is set where others wait for a worker and none is idle, where this
 * one is told to leave, where the guest is quiesced, and where nothing comes for
 * VMM_GUEST_MORE_MS.
 *
 * Returns 0 with *RET, -EAGAIN (the connection is to be closed: nothing has begun), or
 * what first_frame_read() does. */
int next_frame_read(struct session *session, const struct worker_settings *settings,
    struct next_frame *next, struct first_frame *ret);

#endif
