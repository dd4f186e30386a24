/*
 * stream: files that are read line by line, with stdio.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PLATFORM_STREAM_H
#define PLATFORM_STREAM_H

#include <stdio.h>

/* Opens the file PATH below DIR_FD for reading. Returns 0 with *RET, for stream_close(),
 * or -errno. */
int stream_open(int dir_fd, const char *path, FILE **ret);

/* The same for the open file FD, which is taken over, on failure too. */
int stream_take(int fd, FILE **ret);

/* Closes *STREAM if it is open and leaves NULL there; errno is kept. */
void stream_close(FILE **stream);

/* A stream of this kind is closed when its scope ends: FILE CLEANUP_FILE *file = NULL; */
#define CLEANUP_FILE __attribute__((cleanup(stream_close)))

#endif
