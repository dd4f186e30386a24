/*
 * atomic_file_like: a new file made like the one whose place it is to take.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CTL_ATOMIC_FILE_LIKE_H
#define CTL_ATOMIC_FILE_LIKE_H

#include <sys/stat.h>

/* Gives the file FD owner, group, ACL and other extended attributes (xattr(7)) of NAME in
 * the directory DIR_FD, which is like ST and is not followed. Not its mode, and nothing
 * that vouches for what is in it (capabilities, IMA). Returns 0, or -errno if one of them
 * can't be given, or can't be known. */
int atomic_file_like(int fd, int dir_fd, const char *name, const struct stat *st);

#endif
