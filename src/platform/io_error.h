/*
 * io_error: what an errno of read(2), write(2), send(2), recv(2), sendfile(2) and
 * their kin means, by what is on the other side. The one table of it, for the agent
 * and for the client: want of memory is not a host that has gone.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PLATFORM_IO_ERROR_H
#define PLATFORM_IO_ERROR_H

#include <stdbool.h>
#include <stdint.h>

enum io_side {
	IO_CONNECTION, /* a stream socket: vsock, Unix or TCP */
	IO_PIPE,
	IO_TERMINAL, /* the master of a pseudo-terminal */
};

enum io_meaning {
	IO_AGAIN,     /* nothing has happened: make the call again, now */
	IO_NOT_NOW,   /* wait until poll(2) shows it */
	IO_NO_MEMORY, /* the kernel lacks memory: pause, ask for less, and again */
	IO_GONE,      /* nobody is at the other end any more */
	IO_BROKEN,    /* the descriptor is of no use: what was to go over it is lost */
};

/* How long to pause for want of memory before the call is made again; and how much
 * to ask for then: its buffer is one page in the kernel, which is the last to fail. */
#define IO_NO_MEMORY_PAUSE_MS 10
#define IO_NO_MEMORY_LEN 2048

/* What ERROR, a value of errno, means at SIDE. Pure. */
enum io_meaning io_error_read(enum io_side side, int error);

/* The name of ERROR (-errno), as in "ENOENT"; "EIO" where it has none. */
const char *io_error_name(int error);

/* Sleeps for IO_NO_MEMORY_PAUSE_MS. */
void io_error_pause(void);

/* How long memory has been lacking for one purpose, over many calls. */
struct io_lack {
	uint64_t since_ms; /* of CLOCK_MONOTONIC; 0: it is not */
	int max_ms;	   /* how long to bear that; -1: no limit */
};

/* Memory was lacking again: pauses. Returns whether to try again. */
bool io_lack_bear(struct io_lack *lack);

#endif
