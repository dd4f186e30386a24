/*
 * file_tree_state: what the parts of one TREE share: file_tree.c has the request,
 * file_tree_walk.c goes through directories, file_tree_tell.c tells the host.
 *
 * All that return a number return 0; or what ends the walk: -EPIPE if the host has gone,
 * -ECANCELED if this worker was told to stop, -E2BIG, -ENOMEM. What is wrong with a file of
 * the tree is told, and is not an error, but for the root of which nothing was told yet.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SESSION_FILE_TREE_STATE_H
#define SESSION_FILE_TREE_STATE_H

#include <dirent.h>
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "protocol/file_entry.h"
#include "protocol/file_request.h"
#include "session/session.h"

/* The deepest levels, whose directories are open. */
#define FILE_TREE_OPEN_MAX 16

/* Each below the first adds a name and a slash to a path of less than PATH_MAX bytes. */
#define FILE_TREE_LEVELS_MAX (PATH_MAX / 2 + 1)

/* A directory that we are in. */
struct file_tree_level {
	dev_t dev;
	ino_t ino;
	off_t at;	   /* behind which entry of it we are: its d_off of readdir(3) */
	uint16_t path_len; /* of its path */
	bool is_cut;	   /* it was told that it has entries whose paths are too long */
};

struct file_tree {
	struct session *session;
	const struct file_request *request;
	uint64_t left;	  /* entries that may still be told of */
	bool has_told;	  /* of anything */
	bool has_sent;	  /* something since it was last looked whether to go on */
	int end;	  /* what ends the walk, where a part of it could not return it */
	int root_fd;	  /* O_PATH; borrowed, as is the next */
	int fds_fd;	  /* /proc/self/fd: each file is opened by its number there */
	size_t out_len;	  /* frames in conn_tx_buffer() that have not been sent */
	size_t out_count; /* how many they are */
	size_t depth;	  /* levels in use */
	size_t path_len;
	DIR *open[FILE_TREE_OPEN_MAX]; /* of level i at i modulo that; NULL: closed */
	char path[PATH_MAX];	       /* below the root, of what is looked at */
	struct file_tree_level levels[FILE_TREE_LEVELS_MAX];
};

/* Goes through the tree of ROOT_FD, and tells of all that it finds. */
int file_tree_walk(struct file_tree *tree);

/* Tells of what FD (O_PATH), which has STATUS and as a link says TARGET, is open on, at the
 * tree's path. STATUS may be another then. */
int file_tree_tell(struct file_tree *tree, int fd, struct stat *status, const char *target);

/* Tells that ERROR (-errno) is what became of the tree's path. */
int file_tree_tell_error(struct file_tree *tree, int error);

/* Sends what is still to be sent. */
int file_tree_flush(struct file_tree *tree);

#endif
