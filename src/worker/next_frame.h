/*
 * next_frame: another request on a connection whose request said `more`: how long it is
 * waited for, and when the worker is given back instead.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef WORKER_NEXT_FRAME_H
#define WORKER_NEXT_FRAME_H

#include "worker/first_frame.h"

/* Reads the first frame of the next request of SESSION. In the time until its first byte the
 * slot is in phase SLOT_LAST_SENT, as nothing is owed. *IS_LAST: the worker is to be given
 * back, and no request begun that is not there whole; it is set where others wait for a worker
 * (LISTENERS_FD shows events, and none is idle), where this one is told to leave, where the
 * guest is quiesced, and where nothing comes for VMM_GUEST_MORE_MS.
 *
 * Returns 0 with *RET, -EAGAIN (the connection is to be closed: nothing has begun), or
 * what first_frame_read() does. */
int next_frame_read(struct session *session, const struct worker_settings *settings,
    int listeners_fd, bool *is_last, struct first_frame *ret);

#endif
