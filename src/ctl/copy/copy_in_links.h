/*
 * copy_in_links: files and symbolic links of this machine that have more names than one, by their
 * number. The name that comes first is copied; what comes later is linked to it, once that has
 * gone well.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CTL_COPY_IN_LINKS_H
#define CTL_COPY_IN_LINKS_H

#include <sys/stat.h>

#include "ctl/copy/copy.h"

enum copy_link_state {
	COPY_LINK_UNDER_WAY = 0,
	COPY_LINK_DONE,
	COPY_LINK_LOST, /* it was not copied: each of the others is copied itself */
};

/* One file, by the name under which it came first. */
struct copy_link {
	dev_t dev;
	ino_t ino;
	enum copy_link_state state; /* of this and the next COPY's lock is the guard */
	struct copy_jobs waiting;   /* for the first name */
	char path[];		    /* of that, in the guest */
};

/* Whether names of one file are to stay that, and the agent can make them. */
bool copy_links_are_kept(const struct copy *copy);

/* The file of ST, which is to be PATH in the guest, by a single thread. *RET_IS_FIRST: it has not
 * come before, and copy_link_settle() is owed. NULL: there is no memory to remember it. */
struct copy_link *copy_link_find(
    struct copy *copy, const struct stat *st, const char *path, bool *ret_is_first);

/* Its first name has come to R: what waits for it is put in line. */
void copy_link_settle(struct copy *copy, struct copy_link *link, int r);

/* Waits until it has come to that. */
enum copy_link_state copy_link_await(struct copy *copy, struct copy_link *link);

/* Frees all. */
void copy_links_done(struct copy *copy);

#endif
