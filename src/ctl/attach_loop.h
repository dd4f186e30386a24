/*
 * attach_loop: what the parts of attach share: attach.c has the loop, attach_stdin.c what
 * is read of standard input, attach_durable.c what is different where the session outlives
 * its connection.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CTL_ATTACH_LOOP_H
#define CTL_ATTACH_LOOP_H

#include "ctl/attach.h"
#include "ctl/output.h"
#include "ctl/replay.h"

struct attach {
	struct guest *guest;
	const struct attach_options *options;
	struct attach_result *result;
	bool is_over;
	bool is_asked; /* the request is on its way: until then signals and keys are as ever */
	bool tty;      /* the program has a terminal */

	bool stdin_is_open;
	int signal_passed;
	uint64_t signaled_ms; /* when the last signal came that was passed on */
	struct keys_escape escape;

	struct output outputs[2];
	const uint8_t *piece; /* of output, the library's: what is left of it to be written */
	size_t piece_len;
	const struct output *piece_output;

	struct attach_durable *durable; /* NULL: the session ends with its connection */
	struct keys_detach keys;
	struct replay replay;
	bool is_attached;  /* by the connection that there is */
	uint64_t offset;   /* of the next byte of output, as far as was told */
	uint64_t leave_ms; /* by when we leave, answer or not; CLOCK_NEVER: we do not */
};

/* ---- attach.c */

void attach_end(struct attach *attach, enum attach_end end, int signal);

/* The same by ATTACH_LOST, for the reason that result->error has. */
void attach_lose(struct attach *attach, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The same where the connection was closed, and the agent has not said how the program ended. */
void attach_lose_unsaid(struct attach *attach);

/* LEN bytes of DATA, which stand until they are written, go to output 0 or 1 of ours. */
void attach_show(struct attach *attach, unsigned output, const void *data, size_t len);

/* From now on the terminal, if there is one here, is the program's. */
void attach_use_terminal(struct attach *attach);

/* Tells the program the size that ours has now, if it has one. */
void attach_tell_size(const struct attach *attach);

/* ---- attach_stdin.c */

/* Whether something is to be read. */
bool attach_wants_stdin(const struct attach *attach);

/* Reads a piece, which is the program's but for what is meant for us. */
void attach_read_stdin(struct attach *attach);

/* What was held while old output was shown is typed; keys that turned out to be the program's. */
void attach_type_held(struct attach *attach);
void attach_take_late_keys(struct attach *attach);

/* ---- attach_durable.c: for durable sessions alone */

void attach_durable_begin(struct attach *attach);

/* Takes EVENT. Returns whether attach.c has to as well. */
bool attach_durable_take(
    struct attach *attach, enum vmm_guest_event event, const void *data, size_t len);

/* Begins to leave: what was typed goes out first, if that can be. */
void attach_durable_leave(struct attach *attach);

/* When attach_durable_act() has something to do, and what that is. */
uint64_t attach_durable_due_ms(const struct attach *attach);
void attach_durable_act(struct attach *attach);

/* Something was shown: all that was asked for, or all that is old? */
void attach_durable_shown(struct attach *attach);

#endif
