/*
 * opening: a connection from accept to its first frame: who answers its host if this worker dies,
 * and, where it says nothing while others wait, how it is parked with the supervisor
 * (shared/parking.h).
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef WORKER_OPENING_H
#define WORKER_OPENING_H

#include "worker/first_frame.h"

/* A connection that has come, or was parked and has spoken. */
struct opening {
	int fd;
	enum worker_port port;
	uint64_t session; /* the number that it has; 0: none yet */
	uint64_t left_ms; /* of the time for its first frame */
};

/* Takes one that was parked out of the queue PARKING_FD: the caller's. Returns 0; -EAGAIN if
 * another worker was faster; or -errno. */
int opening_take_parked(int parking_fd, struct opening *ret);

/* Puts a duplicate of SESSION's connection into the queue WRITE_FD (-1: none), by which the
 * supervisor can answer. */
void opening_register(struct session *session, int write_fd);

/* Reads the first frame of the connection that came by OPENING, and was registered. Its time runs
 * from the slot's started_ms. Returns what first_frame_read() does; -EAGAIN: it was parked, and is
 * closed here. */
int opening_read(struct session *session, const struct worker_options *options,
    const struct opening *opening, struct first_frame *ret);

#endif
