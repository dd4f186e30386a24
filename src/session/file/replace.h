/*
 * file_replace: new content for a name, all of it or nothing. It is written to a
 * file that has no name (O_TMPFILE, open(2)), in the directory of the name, and
 * gets the name when it is whole. Where a file system has no such files it has
 * a temporary name from the start; see file_temporary.h for what collects it.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SESSION_FILE_REPLACE_H
#define SESSION_FILE_REPLACE_H

#include "session/file/temporary.h"
#include "session/file/place.h"
#include "session/session.h"

struct file_replace {
	struct session *session;
	int dir_fd;			    /* borrowed */
	int fd;				    /* O_RDWR, mode 0600; -1: not begun */
	bool is_link;			    /* FD has a name already, and is O_PATH: see link.c */
	bool is_new;			    /* its name is taken only where nothing has it */
	char temp[FILE_TEMPORARY_NAME_MAX]; /* "": the file has no name */
};

#define FILE_REPLACE_SCOPE __attribute__((cleanup(file_replace_abort)))
#define FILE_REPLACE_NONE                                                                          \
	{                                                                                          \
		.dir_fd = -1, .fd = -1                                                             \
	}

/* Makes the file, next to PLACE, whose directory stays open for as long. Returns
 * 0 with *RET for file_replace_abort(), or -errno of openat(2). */
int file_replace_begin(
    struct session *session, const struct file_place *place, struct file_replace *ret);

/* Gives the file the name NAME: by linkat(2) where nothing is there, by rename(2)
 * from a temporary name else, unless it IS_NEW: -EEXIST. Returns 0; or -errno, and the old
 * file stands: -EBUSY where something is mounted on it, or what close(2) says of the new one. */
int file_replace_commit(struct file_replace *replace, const char *name);

/* Drops the file, unless it got its name. */
void file_replace_abort(struct file_replace *replace);

#endif
