/*
 * copy_in: what copying into a guest is made of: what was named, the walk through a tree, and how
 * one entry is sent. For copy_in*.c alone.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CTL_COPY_IN_H
#define CTL_COPY_IN_H

#include "ctl/copy/copy.h"
#include "protocol/file_request.h"

struct copy_ahead;

/* ---- copy_in_tree.c: the walk ------------------------------------------- */

/* Copies DIR, which is like ST here, with all that is in it; IS_NEW: it is to be made there.
 * Returns 0 or -ECANCELED; other errors have been told. */
int copy_in_tree(struct copy *copy, struct copy_dir *dir, const struct stat *st, bool is_new);

/* ---- copy_in_send.c: what is sent ---------------------------------------- */

/* The following return 0, or -errno with ERROR filled in; where a job is put ahead (copy_ahead.h)
 * 0 is not yet its answer. */

/* Sends what FD has, a file like ST, to PATH: by AHEAD, or where that is NULL on a connection of
 * its own. HERE is what messages call it. A file that is there, which is not IS_NEW, keeps its
 * mode, unless -p. */
int copy_in_send_fd(struct copy *copy, struct copy_ahead *ahead, int fd, const char *here,
    const char *path, const struct stat *st, bool is_new, struct client_error *error);

/* Has it known what the agent takes, where that matters to a file like ST. */
void copy_in_send_prepare(struct copy *copy, const struct stat *st);

/* For copy_job.run: a regular file; a symbolic link as it is; another name of what has come. */
copy_run_fn copy_in_send_file;
copy_run_fn copy_in_send_link;
copy_run_fn copy_in_send_name;

/* Makes a request of TYPE that is answered by ACK, as often as it takes, and waits for that. */
int copy_in_ask(struct copy *copy, uint8_t type, const struct file_request *request,
    struct client_error *error);

/* Has REQUEST set the time to MTIME, with -p. */
void copy_in_want_mtime(
    const struct copy *copy, struct file_request *request, struct timespec mtime);

#endif
