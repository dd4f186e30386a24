/*
 * file_place: where a path leads: a descriptor of the directory, and the name in
 * it. From then on nobody who renames directories or plants links can lead a
 * request elsewhere.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SESSION_FILE_PLACE_H
#define SESSION_FILE_PLACE_H

#include <limits.h>
#include <stdbool.h>
#include <sys/stat.h>

#include "platform/fd.h"

struct file_place {
	int dir_fd;		 /* O_PATH */
	int fd;			 /* O_PATH, what stands at the name; -1: nothing does */
	bool slash;		 /* a directory is meant: slashes stood behind it */
	bool made_dirs;		 /* directories were made on the way */
	bool magic;		 /* a link of /proc, which leads where its text does not say */
	struct stat status;	 /* of FD, if it is open */
	char name[NAME_MAX + 1]; /* of one part; "." for the root itself */
};

/* Closes what file_place_open() opened. */
void file_place_close(struct file_place *place);

/* A place of this kind is closed when its scope ends:
 * struct file_place FILE_PLACE_SCOPE place = FILE_PLACE_NONE; */
#define FILE_PLACE_SCOPE __attribute__((cleanup(file_place_close)))
#define FILE_PLACE_NONE                                                                            \
	{                                                                                          \
		.dir_fd = -1, .fd = -1                                                             \
	}

enum file_place_flags {
	FILE_PLACE_FOLLOW = 1 << 0,    /* a link at the end leads on, also where nothing is */
	FILE_PLACE_MAKE_DIRS = 1 << 1, /* missing directories are made, 0755, no umask */
	FILE_PLACE_ANY_SLASH = 1 << 2, /* slashes behind the name mean nothing */
};

/* Finds the place of PATH. It is not an error if nothing stands there. With
 * FILE_PLACE_FOLLOW, links at the end are read one by one, each pinned by a descriptor,
 * under the rule of fs.protected_symlinks (proc_sys_fs(5)): one in a sticky directory that
 * all can write must belong to the follower or to the directory's owner (else -EACCES).
 * Returns 0 with *RET for file_place_close(), -ENOTDIR where PATH ends in a slash and
 * something else stands there (not with FILE_PLACE_ANY_SLASH), -ELOOP, or -errno of
 * openat(2) or mkdirat(2). */
int file_place_open(const char *path, int flags, struct file_place *ret);

/* Opens what stands at PLACE (its fd) with FLAGS of open(2), such as O_RDONLY:
 * the very file that was looked at, whatever has the name now. O_CLOEXEC,
 * O_NONBLOCK and O_NOCTTY are added. Returns a descriptor or -errno. */
int file_place_reopen(const struct file_place *place, int flags);

#endif
