/*
 * copy_ahead: a copy into an agent that takes several requests on one connection: each
 * thread has one, on which it sends ahead; the answers settle the jobs in the order in
 * which they were sent.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CTL_COPY_AHEAD_H
#define CTL_COPY_AHEAD_H

#include "ctl/copy/copy.h"
#include "ctl/core/guest_file.h"

struct copy_ahead;

/* A thread that does the jobs of ARGUMENT, a struct copy. */
void *copy_ahead_thread(void *argument);

/* For copy_job.run: puts WRITE of SOURCE, a regular file that was SIZE bytes long, or a
 * request of TYPE that is answered by ACK. Returns 0: the answer comes later; or -errno with
 * ERROR filled in. */
int copy_ahead_write(struct copy_ahead *ahead, const struct file_request *request,
    const struct guest_file_source *source, uint64_t size, struct client_error *error);
int copy_ahead_put(struct copy_ahead *ahead, uint8_t type, const struct file_request *request,
    struct client_error *error);

/* Makes a request of TYPE that is answered by ACK, and waits for that; by any thread, on a
 * connection that is for such requests alone. */
int copy_ahead_ask(struct copy *copy, uint8_t type, const struct file_request *request,
    struct client_error *error);

#endif
