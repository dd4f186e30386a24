/*
 * file_serve: the course of every request of port 53 that does something to a path
 * and is answered with ACK or FILE_ERR.
 */
#ifndef SESSION_FILE_SERVE_H
#define SESSION_FILE_SERVE_H

#include "session/file_reply.h"
#include "session/session.h"

/* What such a request does. PATH is its path, absolute. Returns 0 or -errno, and has
 * closed by then whatever it opened. */
typedef int file_serve_fn(
    struct session *session, const struct file_request *request, const char *path);

/* Serves a request of TYPE: takes on the rights of its "user", calls DO_IT, gives the
 * rights back, and only then answers: who has the answer finds no file of ours open. */
void file_serve(struct session *session, uint8_t type, const uint8_t *payload, size_t len,
    file_serve_fn *do_it);

#endif
