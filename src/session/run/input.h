/*
 * input: the program's standard input: a pipe, or its terminal. Takes bytes, and EOF, from
 * whoever brings them (host_frames.h), and writes them as the program takes them.
 *
 * Rules:
 *   - What is put is delivered in order and whole, as long as the program has its
 *     standard input open; what it does not take is held, up to 1 MiB.
 *   - EOF comes after all bytes before it: a pipe is closed; on a terminal its
 *     end-of-file character is typed.
 *   - A program that has closed its standard input loses it: what comes for it
 *     is dropped. Where it fails in another way, that is told: error.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SESSION_RUN_INPUT_H
#define SESSION_RUN_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "platform/io_error.h"
#include "session/run/held_input.h"

struct input {
	int fd;		  /* write end of the pipe, or the terminal's master; owned; -1: closed */
	int tty_fd;	  /* the master where there is a terminal, else -1; borrowed */
	bool eof_pending; /* an EOF waits for the bytes before it */
	bool pipe_is_large;
	char last_typed;     /* on the terminal; '\n' at first */
	int error;	     /* -errno: it can't be written, and what was for it is lost */
	struct io_lack lack; /* of memory to write it */
};

/* FD becomes INPUT's, non-blocking already; -1 where the program has no standard
 * input of the host's. TTY_FD is borrowed. Want of memory is borne for STALL_MS (-1: no
 * limit). */
void input_init(struct input *input, int fd, int tty_fd, int stall_ms);

/* Closes the program's standard input, and forgets what is held. */
void input_close(struct input *input);

/* Whether what is put may still reach the program. */
static inline bool
input_is_open(const struct input *input)
{
	return input->fd >= 0 && (!input->eof_pending || input->tty_fd >= 0);
}

/* How many bytes may be put now; SIZE_MAX where they are dropped. */
size_t input_room(const struct input *input);

/* Puts LEN bytes, at most input_room(). Never waits. */
void input_put(struct input *input, const uint8_t *bytes, size_t len);

/* EOF, behind all that was put. */
void input_put_eof(struct input *input);

/* Delivers what is held, as far as the program takes it. Never waits. */
void input_flush(struct input *input);

/* Whether there is something to deliver, for which to wait for POLLOUT on FD. */
static inline bool
input_wants_to_write(const struct input *input)
{
	return input->fd >= 0 && held_input_len() > 0;
}

#endif
