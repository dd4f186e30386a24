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
 * A durable session goes on when its connection ends. Where that was not meant, this comes
 * back to it: the streams go on where they were.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CTL_ATTACH_H
#define CTL_ATTACH_H

#include <stdbool.h>
#include <stdint.h>

#include "ctl/core/guest.h"
#include "ctl/keys.h"
#include "ctl/session_id.h"
#include "protocol/frame.h"

#define ATTACH_FORCE_MS 2000

/* How long the agent may take to say that it has taken the rest of the input, when a
 * durable session is left. */
#define ATTACH_LEAVE_MS 2000

/* What is wanted of a durable session, and what is known of it. */
struct attach_durable {
	struct session_id id; /* all of it, once the session is known */
	bool is_known;	      /* it has started, or was attached to */
	bool takes_input;     /* it is, or is to be, ours */
	bool wants_report;
	bool has_tail; /* only so much of the output that is there already */
	uint64_t tail;
	struct keys_detach keys; /* that leave it, where our terminal is its */
	uint32_t reconnect_seconds;
	uint64_t old_until;  /* what has stood there before us, where that is known */
	uint64_t stop_at;    /* left once all output below this offset has come */
	bool leaves_at_once; /* as soon as it has started; nothing of its output is shown */
	bool keeps_stdin;    /* its input stays open where ours is not sent */
	bool is_asked_for;   /* by ATTACH, not START */
	bool owns_name;	     /* it was drawn: a session of that name is this one */
	bool only_shows;     /* its output: nothing is said of how it is left, or made of its end */
	bool forgets;	     /* its end, once that was told */
};

/* One with nothing in it, in a designated initializer. */
#define ATTACH_DURABLE_DEFAULTS .reconnect_seconds = 60, .stop_at = UINT64_MAX

struct attach_options {
	bool forward_stdin; /* else EOF is sent at once */
	bool tty;	    /* the program has a terminal; ours, if we have one, is made raw */
	/* Told the payload of each STATUS, with ARGUMENT. NULL: nobody is. */
	void (*report)(void *argument, const char *text, size_t len);
	void *argument;
	struct attach_durable *durable; /* NULL: the session ends with its connection */
};

/* How attach_run() came to its end. */
enum attach_end {
	ATTACH_EXITED = 0, /* the agent said how the program ended */
	ATTACH_LOST,	   /* the connection ended without that, or output failed: ERROR */
	ATTACH_SIGNALED,   /* a signal (or the escape: 0) ended it from our side */
	ATTACH_LEFT,	   /* the durable session goes on without us */
};

struct attach_result {
	enum attach_end end;
	struct frame_exit exit;
	int signal; /* that ended it; of ATTACH_EXITED: the last that was passed on, or 0 */
	struct client_error error;
};

/* Runs until the program, or the connection, ends; START, or ATTACH, has begun on GUEST. The
 * terminal is what it was before. */
void attach_run(
    struct guest *guest, const struct attach_options *options, struct attach_result *ret);

#endif
