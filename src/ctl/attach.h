/*
 * attach: a program of the guest and this program's standard streams, tied
 * together until the program ends.
 *
 *   standard input -> STDIN, EOF         STDOUT -> standard output
 *   signals, the terminal's size -> SIGNAL, RESIZE      STDERR -> standard error
 *
 * Neither direction ever waits for the other, and signals are seen at any time.
 *
 * Without a terminal, INT, TERM, HUP and QUIT are passed on to the program; a
 * second one within ATTACH_FORCE_MS ends the connection instead, and with it the
 * program. With a terminal, what is typed reaches the program, and these signals
 * end the connection at once; so do the keys of ctl/keys.h.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CTL_ATTACH_H
#define CTL_ATTACH_H

#include <stdbool.h>

#include "ctl/core/client.h"

#define ATTACH_FORCE_MS 2000

struct attach_options {
	bool forward_stdin; /* else EOF is sent at once */
	bool tty;	    /* the program has a terminal; ours, if we have one, is made raw */
	/* Told the payload of each STATUS, with ARGUMENT. NULL: nobody is. */
	void (*report)(void *argument, const char *text, size_t len);
	void *argument;
};

/* How attach_run() came to its end. */
enum attach_end {
	ATTACH_EXITED = 0, /* the agent said how the program ended */
	ATTACH_LOST,	   /* the connection ended without that, or output failed: ERROR */
	ATTACH_SIGNALED,   /* a signal (or the escape: 0) ended it from our side */
};

struct attach_result {
	enum attach_end end;
	struct frame_exit exit;
	int signal; /* that ended it; of ATTACH_EXITED: the last that was passed on, or 0 */
	struct client_error error;
};

/* Runs until the program, or the connection, ends; START has been sent. The
 * terminal is what it was before. */
void attach_run(
    struct client *client, const struct attach_options *options, struct attach_result *ret);

#endif
