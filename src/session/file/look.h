/*
 * file_look: what an entry says of a file.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SESSION_FILE_LOOK_H
#define SESSION_FILE_LOOK_H

#include <limits.h>
#include <sys/stat.h>

#include "protocol/file_entry.h"

/* The entry of a file that has STATUS, without a name; TARGET, which is borrowed, is "" unless
 * it is a link. */
struct file_entry file_look_entry(const struct stat *status, const char *target);

/* Looks at what FD (O_PATH) is open on, and reads what a link says into TARGET, which is ""
 * for anything else. Returns 0, or -errno of fstat(2) or readlinkat(2). */
int file_look_by_fd(int fd, char target[PATH_MAX], struct stat *ret);

/* Looks at PATH below DIR_FD, follows no link at its end, and calls it NAME. *RET borrows both
 * NAME and TARGET. Returns 0, or -errno. */
int file_look(
    int dir_fd, const char *path, const char *name, char target[PATH_MAX], struct file_entry *ret);

#endif
