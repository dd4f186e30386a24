/*
 * copy_out_links: files of a guest that have more names than one, by their number in the guest.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CTL_COPY_OUT_LINKS_H
#define CTL_COPY_OUT_LINKS_H

#include <stdint.h>

/* A guest that tells of more is not remembered any more of: these files are copied twice. */
#define COPY_OUT_LINKS_MAX 100000

/* Zero-initialised it is ready for use. */
struct copy_out_links {
	void *tree; /* of tsearch(3) */
	unsigned count;
};

/* Remembers that the file INO of DEV has come by PATH, which is copied; "" is none, and so is one
 * that is remembered. Where there is no memory it does not. */
void copy_out_links_add(struct copy_out_links *links, uint64_t dev, uint64_t ino, const char *path);

/* The path by which it has come; NULL: it has not. */
const char *copy_out_links_find(const struct copy_out_links *links, uint64_t dev, uint64_t ino);

/* Frees it. */
void copy_out_links_done(struct copy_out_links *links);

#endif
