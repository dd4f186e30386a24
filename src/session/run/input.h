/*
 * input: from the host to the program. Takes the frames of a running session out
 * of the connection and acts on them: STDIN goes to the program's standard input,
 * RESIZE to its terminal, SIGNAL to its process group. Other frames are skipped.
 *
 * Rules:
 *   - STDIN is delivered in order and whole, as long as the program has its
 *     standard input open; what it does not take is held, up to 1 MiB.
 *   - While that much is held, no further frame is taken: frames behind it wait,
 *     and the connection is not read.
 *   - EOF comes after all STDIN before it: a pipe is closed; on a terminal its
 *     end-of-file character is typed.
 *   - A program that has closed its standard input loses it: what comes for it
 *     is read and dropped. Where it fails in another way, that is told: error.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SESSION_RUN_INPUT_H
#define SESSION_RUN_INPUT_H

#include <stdbool.h>
#include <stdint.h>

#include "platform/io_error.h"
#include "protocol/frame.h"
#include "session/conn.h"
#include "session/run/process_tree.h"
#include "session/run/held_input.h"

/* The payload of RESIZE and SIGNAL, of which more is ignored. */
#define INPUT_CONTROL_MAX 4

struct input {
	int fd;	    /* write end of the pipe, or the terminal's master; owned; -1: closed */
	int tty_fd; /* the master where there is a terminal, else -1; borrowed */
	const struct process_tree *tree;
	bool eof_pending; /* an EOF waits for the bytes before it */
	bool pipe_is_large;
	char last_typed;     /* on the terminal; '\n' at first */
	int error;	     /* -errno: it can't be written, and what was for it is lost */
	struct io_lack lack; /* of memory to write it */
	uint8_t type;	     /* of the frame whose payload is being taken */
	uint8_t control[INPUT_CONTROL_MAX];
	size_t control_len;
};

/* FD becomes INPUT's, non-blocking already; -1 where the program has no standard
 * input of the host's. TTY_FD and TREE are borrowed. Want of memory is borne for STALL_MS
 * (-1: no limit). */
void input_init(
    struct input *input, int fd, int tty_fd, const struct process_tree *tree, int stall_ms);

/* Closes the program's standard input, and forgets what is held. */
void input_close(struct input *input);

/* Takes all frames that stand in CONN's buffer. Returns 0, or -EMSGSIZE where the
 * host announced a frame above the limit: all that it sends after that is dropped.
 * Never waits. */
int input_take_frames(struct input *input, struct conn *conn);

/* Delivers what is held, as far as the program takes it. Never waits. */
void input_flush(struct input *input);

/* Whether the connection should not be read now. */
bool input_is_full(const struct input *input, const struct conn *conn);

/* Whether there is something to deliver, for which to wait for POLLOUT on FD. */
static inline bool
input_wants_to_write(const struct input *input)
{
	return input->fd >= 0 && held_input_len() > 0;
}

#endif
