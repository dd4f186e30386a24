/*
 * copy_out: what copying out of a guest is made of: a file by a READ, a tree by a TREE
 * or, of an agent that has none, by a list of each directory; and what is made of that here. For
 * copy_out*.c alone.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CTL_COPY_OUT_H
#define CTL_COPY_OUT_H

#include "ctl/copy/atomic_file.h"
#include "ctl/copy/copy.h"
#include "protocol/file_entry.h"

/* ---- copy_out_make.c: what is made here ----------------------------------- */

/* What a file or directory here has of its source. */
struct copy_out_like {
	mode_t mode;
	struct timespec mtime;
};

struct copy_out_like copy_out_like(const struct file_entry *entry);

/* Counts LEN bytes that a guest sends, or an entry. Returns 0; or with ERROR filled in -EFBIG,
 * -E2BIG: that is more than the user wants here. */
int copy_out_count(struct copy *copy, uint64_t len, struct client_error *error);
int copy_out_count_entry(struct copy *copy, struct client_error *error);

/* Begins to receive a file, and puts it in place: as atomic_file.h's functions. */
int copy_out_open(struct copy *copy, struct atomic_file *file, int dir_fd, const char *name,
    const struct copy_out_like *like, enum atomic_file_there there);
int copy_out_commit(struct copy *copy, struct atomic_file *file, const struct copy_out_like *like);

/* Puts into ERROR why that failed, with R, for the file that is called HERE in messages. */
void copy_out_fail(const char *here, int r, struct client_error *error);

/* Makes the directory NAME in DIR, or finds it there, which in one that is new is -EEXIST.
 * Nothing is followed. Returns 0 with *RET, held once and finished with the last hold of it,
 * or -errno. */
int copy_out_enter(struct copy_dir *dir, const char *name, const struct copy_out_like *like,
    struct copy_dir **ret);

/* The same of the top, which is HERE, whose own links are followed, and GUEST there. */
int copy_out_enter_top(
    const char *here, const char *guest, const struct copy_out_like *like, struct copy_dir **ret);

/* Says that NAME in DIR is not copied for what it is. */
void copy_out_leave_out(struct copy *copy, const struct copy_dir *dir, const char *name);

/* ---- copy_out_read.c: one file -------------------------------------------- */

/* These return 0, or -errno with ERROR filled in. HERE is what messages call the target. */

/* Receives the guest's PATH as NAME in the directory DIR_FD, in whose place may be what THERE
 * says; or into FD. */
int copy_out_read_file(struct copy *copy, const char *path, int dir_fd, const char *name,
    const char *here, const struct copy_out_like *like, enum atomic_file_there there,
    struct client_error *error);
int copy_out_read_stream(
    struct copy *copy, const char *path, int fd, const char *here, struct client_error *error);

/* For copy_job.run: a file of a directory that was listed. */
copy_run_fn copy_out_read_job;

/* ---- copy_out_tree.c, copy_out_list.c: the two ways through a tree --------- */

/* What is in DIR there comes into DIR here. The first returns 0, or -errno with ERROR filled
 * in, -ENOSYS where the agent has no TREE; the second 0 or -ECANCELED, and complains itself, as
 * both do of what is in DIR. */
int copy_out_tree(struct copy *copy, struct copy_dir *dir, struct client_error *error);
int copy_out_list(struct copy *copy, struct copy_dir *dir);

#endif
