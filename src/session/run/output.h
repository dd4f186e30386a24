/*
 * output: from the program to the host. Reads the program's standard output and error,
 * or its terminal, and sends what they gave in frames.
 *
 * Rules:
 *   - At most one frame is under way. While the host does not take it, nothing
 *     more is read from the program: back pressure stops the program, not us. Of a
 *     durable session its journal takes the output, as long as it has room.
 *   - Standard output and error take turns.
 *   - A terminal gives a line or a page at a time: what it has in a few reads is one frame,
 *     which waits for nothing that is not there yet.
 *   - From the cut on only what each stream held at that moment is sent (FIONREAD; a
 *     terminal is read until it is empty).
 *   - What can't be read is told: error.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SESSION_RUN_OUTPUT_H
#define SESSION_RUN_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "platform/io_error.h"
#include "session/conn.h"
#include "session/durable/owner.h"

#define OUTPUT_STREAMS 2

struct output_stream {
	int fd;	      /* -1: at its end */
	int ended_fd; /* the same, to be closed when the session is over; -1 */
	uint8_t type; /* of its frames */
	size_t left;  /* once cut: bytes still to be sent */
};

struct output {
	struct conn *conn;
	struct owner *owner; /* of a durable session: it takes what is read; else NULL */
	uint8_t *buffer;     /* where to read to, */
	size_t room;	     /* and how much */
	struct output_stream streams[OUTPUT_STREAMS];
	bool is_tty;
	bool is_dropped;	 /* it is read, and not sent */
	bool is_cut;		 /* see output_cut() */
	bool was_held;		 /* a descendant still held it open at the cut */
	int error;		 /* -errno: it can't be read, and what was on it is lost */
	struct io_lack lack;	 /* of memory to read it */
	uint64_t quiet_since_ms; /* nothing was read, and no frame sent, since then */
};

/* The descriptors become OUTPUT's, non-blocking already: the terminal's master, or -1
 * and the two pipes. CONN and OWNER are borrowed. */
void output_init(struct output *output, struct conn *conn, struct owner *owner, int tty_fd,
    int stdout_fd, int stderr_fd);

/* Asks OWNER anew how much may be read, and where to. */
void output_look(struct output *output);

/* Whether more may be read from the program now. */
static inline bool
output_may_read(const struct output *output)
{
	return output->owner != NULL ? output->room > 0 : !conn_is_pushing(output->conn);
}

/* Reads from each stream that is READY, as long as there is room. Never waits.
 * Returns 0, or -EPIPE where the host has gone. */
int output_pump(struct output *output, const bool *ready, uint64_t now_ms);

/* Sends the frame that is under way. Never waits. Returns 0, or -EPIPE. */
int output_push(struct output *output, uint64_t now_ms);

/* Whether a stream is still open. */
bool output_is_open(const struct output *output);

/* Takes note of what is in the streams at this moment: that much is still sent. */
void output_cut(struct output *output);

/* The host has gone: from here on what is read is dropped. */
void output_drop(struct output *output);

void output_close(struct output *output);

#endif
