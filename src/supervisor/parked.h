/*
 * parked: connections that have said nothing while no worker was idle. They are kept here,
 * where they cost no worker and outlive each, until they speak: then the next idle worker gets
 * them, by a queue that all of them wait for. See shared/parking.h. It takes no byte of theirs.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SUPERVISOR_PARKED_H
#define SUPERVISOR_PARKED_H

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "shared/scoreboard.h"

/* The most that are kept; fewer where RLIMIT_NOFILE leaves less room. Beyond it, the one whose
 * time is over first is closed. */
#define PARKED_MAX 4096

#define PARKED_POLLS 2

struct parked_conn;

TAILQ_HEAD(parked_list, parked_conn);

struct parked {
	struct scoreboard *board;
	uint64_t timeout_ms;
	uint64_t quiesce; /* the last one, which was over; 0: it was not */
	int queue_fd;	  /* our end: from workers, and to them */
	int workers_fd;	  /* theirs, for pool.h; -1: nothing is parked */
	int wait_fd;	  /* an epoll of the connections */
	uint32_t count;
	uint32_t max;
	bool is_full;		 /* the queue to the workers */
	bool is_ending;		 /* what comes is closed */
	struct parked_list list; /* whose time is over first stands first */
};

/* Opens queue and epoll. BOARD is borrowed; TIMEOUT_MS is the longest that a connection may say
 * nothing. Returns 0; or -errno: then nothing will be parked, and all else here may be called. */
int parked_open(struct parked *parked, struct scoreboard *board, int timeout_ms);

/* Closes those whose time is over. Returns when that of the next is (CLOCK_MONOTONIC ms), or
 * CLOCK_NEVER. */
uint64_t parked_step(struct parked *parked, uint64_t now_ms);

/* Puts what is to be waited for into POLLS, of PARKED_POLLS; and, after poll(2), acts on it. */
void parked_poll(const struct parked *parked, struct pollfd *polls);
void parked_act(struct parked *parked, const struct pollfd *polls, uint64_t now_ms);

/* The agent ends: closes all, and all that still come. */
void parked_end(struct parked *parked);

#endif
