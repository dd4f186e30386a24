/*
 * worker_state: what a worker knows of itself. For worker.c and serve.c alone.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef WORKER_WORKER_STATE_H
#define WORKER_WORKER_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "worker/opening.h"
#include "worker/worker.h"

struct worker {
	const struct worker_options *options;
	struct slot *slot;
	int epoll_fd;
	int conn_fd_number; /* that a connection has, as long as nothing has leaked */
	size_t unix_room;   /* see conn_set_room() */
	bool is_used_up;    /* by its last session: see struct session */
	bool has_collected; /* what the last worker of the slot has left in a directory */
	uint32_t served;    /* requests */
};

/* Serves the connection of OPENING, which becomes the session's. */
void worker_serve(struct worker *worker, const struct opening *opening);

/* Unlinks what the last worker of the slot has left in a directory, once: not while the file
 * system may be frozen, which would hold this worker. */
void worker_collect(struct worker *worker);

/* How many times it has served as many requests as it may. */
uint32_t worker_rounds_served(const struct worker *worker);

/* Has ps(1) show what it does: DOING. */
void worker_set_title(const struct worker *worker, const char *doing);

#endif
