/*
 * copy_out: what the two ways of copying a tree out of a guest have in common: TREE, and for
 * an agent that has none a list of each directory. For copy_out*.c alone.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CTL_COPY_OUT_H
#define CTL_COPY_OUT_H

#include "ctl/copy/atomic_file.h"
#include "ctl/copy/copy.h"
#include "protocol/file_entry.h"

/* What a file or directory here has of its source. */
struct copy_out_like {
	mode_t mode;
	struct timespec mtime;
};

struct copy_out_like copy_out_like(const struct file_entry *entry);

/* Whether NAME is one that a directory can have. */
bool copy_out_is_name(const char *name);

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

/* Says that NAME in DIR is not copied for what it is. */
void copy_out_leave_out(struct copy *copy, const struct copy_dir *dir, const char *name);

/* One file of a directory that was listed. */
int copy_out_job(struct copy *copy, const struct copy_job *job, struct client_error *error);

/* What is in DIR there comes into DIR here. The first returns 0, or -errno with ERROR filled
 * in, -ENOSYS where the agent has no TREE; the second 0 or -ECANCELED, and complains itself, as
 * both do of what is in DIR. */
int copy_out_tree(struct copy *copy, struct copy_dir *dir, struct client_error *error);
int copy_out_list(struct copy *copy, struct copy_dir *dir);

#endif
