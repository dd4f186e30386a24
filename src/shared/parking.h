/*
 * parking: what goes with a connection that has said nothing when a worker lays it aside with
 * the supervisor, which gives it to a worker again when it speaks. By a queue that has a
 * connection in each message, in both directions: platform/fdpass.h.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SHARED_PARKING_H
#define SHARED_PARKING_H

#include <stdint.h>

/* No padding: nothing of a process goes to another by chance. */
struct parking {
	uint64_t session; /* the number that it was given when it was accepted */
	uint64_t left_ms; /* of the time that it has for its first frame, without what it
			   * waits for a worker that is idle */
	uint64_t port;	  /* enum worker_port */
};

#endif
