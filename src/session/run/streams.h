/*
 * streams: the three standard streams of a session's program, both ends of each:
 * pipes, a terminal, or /dev/null.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SESSION_RUN_STREAMS_H
#define SESSION_RUN_STREAMS_H

#include "platform/users.h"
#include "protocol/start.h"

/* Descriptors are owned, close-on-exec, -1 where there is none; ours are
 * non-blocking. */
struct streams {
	int child[3]; /* the program's 0, 1 and 2 */
	int stdin_fd; /* ours */
	int stdout_fd;
	int stderr_fd;
	int tty_fd; /* the terminal's master */
	int tty_slave_fd;
};

/* Of one that holds nothing. */
#define STREAMS_NONE                                                                               \
	(struct streams)                                                                           \
	{                                                                                          \
		{ -1, -1, -1 }, -1, -1, -1, -1, -1                                                 \
	}

/* Makes the pipes of the next session, so that it need not wait for them; for a worker
 * that has nothing to do. They are kept here until streams_open() gives them to one
 * session, and no other. Where one can't be made, streams_open() will try again. */
void streams_prepare(void);

/* Opens what REQUEST asks for; with USER (or NULL) the program's ends are that
 * user's, who can then open /dev/stdout. Returns 0 with *RET for streams_close(), or -errno with
 * the name of what could not be opened in *RET_WHAT (static). */
int streams_open(const struct start_request *request, const struct run_as *user,
    struct streams *ret, const char **ret_what);

/* Closes the program's ends, once it has them. */
void streams_close_child(struct streams *streams);

/* Closes everything that is still there. */
void streams_close(struct streams *streams);

#endif
