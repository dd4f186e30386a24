/*
 * durable_options: what the command line says of durable sessions: which one, how it is
 * kept, how it is left.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CTL_DURABLE_OPTIONS_H
#define CTL_DURABLE_OPTIONS_H

#include <stdint.h>

#include "ctl/session_id.h"
#include "ctl/options.h"
#include "protocol/start.h"

/* "buffer=SIZE,keep=DURATION,alone=DURATION,when-full=attached|drop|wait", or parts of it.
 * Returns 0 or -EINVAL. */
int durable_options_parse(const char *text, struct start_durable *ret);

/* What the option --name may be: not a number, as that is taken for a session's. */
int durable_options_take_name(const struct options_row *row, char *text);

/* Of --detach-keys, into a struct keys_detach. */
int durable_options_take_keys(const struct options_row *row, char *text);

/* Of --tail, into a struct attach_durable. */
int durable_options_take_tail(const struct options_row *row, char *text);

/* Rows that several commands have. */
#define DURABLE_OPTIONS_RECONNECT(into_)                                                           \
	OPTIONS_SECONDS("reconnect", "S", into_,                                                   \
	    "come back for S seconds when the connection breaks (default: 60)")
#define DURABLE_OPTIONS_KEYS(into_)                                                                \
	OPTIONS_CALL("detach-keys", 0, "KEYS", durable_options_take_keys, into_,                   \
	    "keys such as 'ctrl-],d' or 'none'",                                                   \
	    "keys that leave a durable session on a terminal (default: 'ctrl-],d'), or 'none'")
#define DURABLE_OPTIONS_WHICH                                                                      \
	OPTIONS_OPERAND("SESSION", "the name or the number of a durable session")

/* Reads which session TEXT means, a number or a name, into RET. Returns 0 or -EINVAL. */
int durable_options_parse_which(const char *text, struct session_id *ret);

/* Draws a name that begins as the last part of PROGRAM's path does. */
void durable_options_draw_name(const char *program, char name[VMM_GUEST_NAME_MAX + 1]);

#endif
