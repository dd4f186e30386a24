/*
 * copy_agent: what the agent of a copy can do, and the largest file that it takes: one STATUS
 * for a whole copy, and none where nothing depends on it.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CTL_COPY_AGENT_H
#define CTL_COPY_AGENT_H

#include "ctl/copy/copy.h"

/* No agent's limit is lower: the least of its option max_file_mib. */
#define COPY_AGENT_FILE_LEAST (1024 * 1024)

enum copy_feature {
	COPY_USER = 1 << 0,  /* "user" in WRITE and READ */
	COPY_SET = 1 << 1,   /* and in all of port 53, with owner and time */
	COPY_AHEAD = 1 << 2, /* several requests on one connection */
	COPY_HOLES = 1 << 3, /* in WRITE */
	COPY_LINKS = 1 << 4, /* LINK */
};

/* Asks for it, unless it is known, and waits where the agent is busy. Where it can't be asked it
 * is not asked again. Not by two threads at once. Returns 0, or -errno with ERROR filled in. */
int copy_agent_look(struct copy *copy, struct client_error *error);

/* Whether the agent takes a file of SIZE bytes for PATH, as far as is known. Returns 0, or -EFBIG
 * with ERROR filled in. */
int copy_agent_check_size(
    const struct copy *copy, const char *path, uint64_t size, struct client_error *error);

#endif
