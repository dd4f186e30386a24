/*
 * dir: directories, read to their end. readdir(3) returns NULL at the end and for an error
 * alike; to take an error for the end makes a list silently short.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PLATFORM_DIR_H
#define PLATFORM_DIR_H

#include <dirent.h>

/* Opens the directory PATH below DIR_FD, with FLAGS (O_NOFOLLOW, or 0) beside those
 * that a directory needs. Returns 0 with *RET, for dir_close(), or -errno of
 * openat(2). */
int dir_open(int dir_fd, const char *path, int flags, DIR **ret);

/* The same for the open directory FD, which is taken over, on failure too. */
int dir_take(int fd, DIR **ret);

/* Reads the next entry, "." and ".." left out. Returns 0 with *RET, borrowed until the
 * next call, and NULL at the end; or -errno of readdir(3): there may be more entries. */
int dir_next(DIR *dir, struct dirent **ret);

/* Closes *DIR if it is open and leaves NULL there; errno is kept. */
void dir_close(DIR **dir);

/* A directory of this kind is closed when its scope ends: DIR CLEANUP_DIR *dir = NULL; */
#define CLEANUP_DIR __attribute__((cleanup(dir_close)))

#endif
