/*
 * request: what the small commands do: ask the agent once, or once a path, and say what
 * it would not do. They return the exit status.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CTL_REQUEST_H
#define CTL_REQUEST_H

#include "ctl/core/control.h"
#include "protocol/file_request.h"

/* A request of port 52 that is one frame, and how it is said that it failed. */
struct request {
	const char *frame;    /* its name */
	const char *json;     /* NULL: there is none */
	const char *refused;  /* before the agent's own words, if it has any */
	int timeout_ms;	      /* how long it may take; 0: as long as it likes */
	const char *no_time;  /* what is said when that is over; NULL: as it is */
	const char *not_made; /* for VMM_GUEST_EXIT_NOT_MADE; NULL: as the others */
	/* Says it where there is a STATUS that tells more, or returns 0; NULL: nothing does. */
	int (*complain)(const struct control_answer *answer);
};

/* Asks. *RET is for control_answer_done() in any case. */
int request_run(const struct request *request, struct control_answer *ret);

/* The same for a payload in JSON, which is freed; NULL: no memory. */
int request_run_json(struct request *request, char *json, struct control_answer *ret);

/* Makes REQUEST of port 53 by EACH for every one of PATHS, which end with a NULL; before
 * that checks for FEATURE where a user is named (ctl/core/guest_features.h). EACH, which gets
 * the path also as it was given, returns 0 or -errno with ERROR filled in. */
int request_run_paths(struct file_request *request, const char *feature, char **paths,
    int (*each)(struct file_request *request, const char *given, struct client_error *error));

#endif
