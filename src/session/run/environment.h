/*
 * environment: what a session's program finds in its environment: a few variables
 * of ours, the user's, and those that the host asked for, which win.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SESSION_RUN_ENVIRONMENT_H
#define SESSION_RUN_ENVIRONMENT_H

#include "platform/users.h"
#include "protocol/start.h"
#include "shared/scoreboard.h"

#define ENVIRONMENT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

struct environment {
	char **variables; /* "NAME=value", NULL at the end; one block, owned */
	const char *path; /* the value of PATH in it */
};

/* Makes the environment of REQUEST for USER, or where that is NULL for the agent's
 * own user, whose home is HOME. TERM is the agent's own terminal type or NULL; a
 * session on a tty has xterm-256color. Returns 0 with *RET for
 * environment_done(), or -ENOMEM. */
int environment_make(const struct start_request *request, const struct run_as *user,
    const char *home, const char *term, struct environment *ret);

/* The same with what RESTORED has given the guest of BOARD under what REQUEST has, and over
 * the rest. Returns -EAGAIN too; see shared/given_env.h. */
int environment_make_given(const struct scoreboard *board, const struct start_request *request,
    const struct run_as *user, const char *home, const char *term, struct environment *ret);

void environment_done(struct environment *environment);

#endif
