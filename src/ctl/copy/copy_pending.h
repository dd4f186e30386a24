/*
 * copy_pending: the directories of one level of a tree that are still to be gone into.
 * All else of a level is done and forgotten before that, so that a deep tree takes no
 * more memory than the names of these. They may be a guest's: of all levels together
 * there are no more than COPY_PENDING_MAX bytes.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CTL_COPY_PENDING_H
#define CTL_COPY_PENDING_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <time.h>

#define COPY_PENDING_MAX (16ul * 1024 * 1024)

struct copy;
struct copy_dir;

/* Zero-initialised it is ready for use. */
struct copy_pending {
	size_t *all; /* bytes of all levels together; NULL: there are none in this */
	char *bytes;
	size_t len;
	size_t size;
	size_t at; /* of the next one */
};

struct copy_pending_dir {
	const char *name;
	bool is_there; /* at the target, as a directory */
	mode_t mode;   /* of the source, where it is not at hand later; so the time */
	struct timespec mtime;
};

/* Adds one, whose name is copied, to PENDING, one of the levels that have ALL bytes together.
 * Returns 0, -ENOMEM, or -EOVERFLOW: too many. */
int copy_pending_add(size_t *all, struct copy_pending *pending, const struct copy_pending_dir *dir);

/* What -errno R of that, or of a call to the kernel, means. */
const char *copy_pending_explain(int r);

/* The next one to *RET, whose name is good until copy_pending_done(). False: that was
 * all. Nothing may be added any more. */
bool copy_pending_next(struct copy_pending *pending, struct copy_pending_dir *ret);

/* Frees it. */
void copy_pending_done(struct copy_pending *pending);
#define CLEANUP_PENDING __attribute__((cleanup(copy_pending_done)))

/* What is done at the directory DIR itself, which puts what is to be gone into to PENDING: returns
 * 0, or -ECANCELED. And how it is gone into what was put: returns 0, -ECANCELED, or -errno. */
typedef int copy_level_fn(struct copy *copy, struct copy_dir *dir, struct copy_pending *pending);
typedef int copy_enter_fn(
    struct copy *copy, struct copy_dir *dir, const struct copy_pending_dir *child);

/* Calls LEVEL for DIR, then ENTER for each that it has put. Returns 0 or -ECANCELED; other errors
 * are told of. */
int copy_pending_walk(
    struct copy *copy, struct copy_dir *dir, copy_level_fn *level, copy_enter_fn *enter);

#endif
