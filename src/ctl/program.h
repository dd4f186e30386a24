/*
 * program: a program that is run in the guest: as the user's own, tied to our
 * standard streams, or for a command's own ends.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CTL_PROGRAM_H
#define CTL_PROGRAM_H

#include "ctl/attach.h"
#include "protocol/start.h"

/* Runs it by attach_run(), complains where the agent could not be reached or went
 * away, and returns the exit status for this program: the guest program's, 128 plus
 * the signal that ended it, or 125; 0 where a durable session was left. A signal that ended
 * attach_run() ends us. */
int program_run(const struct start_request *request, const struct attach_options *options);

/* The same of a program that runs, or has run, in the durable session of OPTIONS. */
int program_attach(const struct attach_options *options);

/* Has it run on a terminal: ours, if we have one, with its size and TERM, for which
 * ENV has room for one more. */
void program_use_terminal(struct start_request *request, struct attach_options *attach);

/* Has it run in a durable session of this NAME, which lasts as long as REQUEST. */
void program_use_durable(struct start_request *request, struct attach_options *attach,
    struct attach_durable *durable, const char *name);

/* The end of the session is kept no longer. Where that fails it will be given up at its time. */
void program_forget(const struct session_id *id);

/* -EILSEQ if a string of REQUEST is not UTF-8, which JSON can't carry. */
int program_check(const struct start_request *request);

#endif
