/*
 * file_path: paths as requests have them, taken apart. Pure; where a path leads
 * is file_place's to find out.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SESSION_FILE_PATH_H
#define SESSION_FILE_PATH_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

/* Copies GIVEN to RET, with a slash in front where it has none. Returns 0,
 * -EINVAL for an empty path, or -ENAMETOOLONG where the result and its NUL do
 * not fit into PATH_MAX bytes (path_resolution(7)). */
int file_path_parse(const char *given, char ret[PATH_MAX]);

/* A path in two: the directory, and the name in it. */
struct file_parts {
	char dir[PATH_MAX];	 /* "/" or "." where the path has no other */
	char name[NAME_MAX + 1]; /* "." for the root itself */
	bool slash;		 /* slashes stood behind the name: a directory is meant */
};

/* Splits PATH, absolute or not, at its last slash; slashes at the end are taken off first,
 * so that "link/" is "link", which is not followed. Returns 0, -EINVAL for an empty path,
 * or -ENAMETOOLONG. */
int file_path_split(const char *path, struct file_parts *ret);

/* Whether NAME is "." or "..", which can be looked at but not made, replaced,
 * moved or removed. */
bool file_path_is_dots(const char *name);

/* The last part of an absolute PATH as an entry shows it: "x" for "/a/x/", "/"
 * for the root. Written to RET of NAME_MAX + 1 bytes. */
void file_path_last(const char *path, char ret[NAME_MAX + 1]);

/* Writes DIR, a slash unless it ends in one, and NAME to RET of SIZE bytes.
 * Returns 0 or -ENAMETOOLONG. */
int file_path_join(char *ret, size_t size, const char *dir, const char *name);

#endif
