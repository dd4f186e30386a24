/*
 * block_mounts: the mounted file systems, each once, in the order in which they are to be
 * frozen: the last mounted first, and one that lies on another's file before that one. To
 * freeze them the other way round deadlocks: the upper one has to write. They thaw in the
 * reverse order.
 *
 * What is not to be frozen is listed too, with the reason. It opens no mount point.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PLATFORM_BLOCK_MOUNTS_H
#define PLATFORM_BLOCK_MOUNTS_H

#include <stdbool.h>
#include <stddef.h>

struct block_mount {
	char *path;	     /* a mount point that leads to it; owned */
	char *type;	     /* of filesystems(5); owned */
	const char *skipped; /* why it can't be frozen, in a word; NULL: it can */
	bool is_hidden;	     /* PATH leads to another one, which was mounted over it */
};

/* Which file system the mount ID shows. */
struct block_mounts_id {
	unsigned id;
	size_t mount; /* its place in the list */
};

struct block_mounts {
	struct block_mount *list;
	size_t count;
	struct block_mounts_id *ids; /* of all mounts */
	size_t ids_count;
};

/* Reads "self/mountinfo" below PROC_FD (/proc), and what lies on what below SYS_FD (/sys).
 * Returns 0 with *RET for block_mounts_done(); -ENOMEM; -E2BIG where there are more than
 * 8192 mounts, or 4096 file systems; or -errno where there is no such list. What can't be known of
 * a device is taken for nothing. */
int block_mounts_read(int proc_fd, int sys_fd, struct block_mounts *ret);

/* The place in the list of what FD is open on (O_PATH too), by statx(2). Returns 0; -ENOENT
 * where no mount that was listed leads there; or -errno. */
int block_mounts_find(const struct block_mounts *mounts, int fd, size_t *ret);

void block_mounts_done(struct block_mounts *mounts);
#define CLEANUP_BLOCK_MOUNTS __attribute__((cleanup(block_mounts_done)))

#endif
