/*
 * file_serve: the course of the requests of port 53 that end in one frame which says how
 * it went: all but WRITE and WATCH.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SESSION_FILE_SERVE_H
#define SESSION_FILE_SERVE_H

#include "session/file/place.h"
#include "session/file/reply.h"
#include "session/session.h"

/* One of them at work. */
struct file_work {
	struct session *session;
	const struct file_request *request;
	const char *path; /* absolute */
	const char *to;	  /* the same of MOVE and LINK; else NULL */

	/* The answer, unless it is ACK or FILE_ERR with PATH's name. */
	uint8_t type; /* of a frame with TEXT, which goes to free(3) */
	char *text;
	size_t len;
	const char *of;	 /* whose error it is */
	const char *why; /* what is said of it */

	char words[64]; /* for a WHY that has a number in it */
};

/* Does it. Returns 0 or -errno, and has closed by then whatever it opened. */
typedef int file_serve_fn(struct file_work *work);

/* Serves a request of TYPE: takes on the rights of its "user", calls DO_IT, gives the
 * rights back, and only then answers: a host that has the answer finds no file of ours open. */
void file_serve(struct session *session, uint8_t type, const uint8_t *payload, size_t len,
    file_serve_fn *do_it);

/* Finds both places of WORK, a MOVE or a LINK: "from", which is there, and with FLAGS "to". With
 * FILE_PLACE_MAKE_DIRS "from" is no directory (-EISDIR), and no parents are made for one. Returns
 * 0 with places for file_place_close(), or -errno with WORK saying whose it is. */
int file_serve_open_both(
    struct file_work *work, int flags, struct file_place *ret_from, struct file_place *ret_to);

#endif
