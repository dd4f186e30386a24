/*
 * mount_list: the lines of a process's mountinfo, which file system each of them shows, and
 * which one leads to it.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PLATFORM_MOUNT_LIST_H
#define PLATFORM_MOUNT_LIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "platform/mountinfo.h"

/* Lines are held one against each other, and file systems by the reader of the list: with this
 * many that takes 3 s, and 16 MiB where each has a byte for each. */
#define MOUNT_LIST_LINES_MAX 8192
#define MOUNT_LIST_FILE_SYSTEMS_MAX 4096

#define MOUNT_LIST_NONE SIZE_MAX

struct mount_list_line {
	char *text; /* owned; INFO's texts lie in it */
	struct mountinfo info;
	size_t index; /* among the file systems, in the order of their first lines */
};

struct mount_list {
	struct mount_list_line *lines; /* in the order in which they were mounted */
	size_t lines_count;
	size_t count; /* of file systems */
};

/* Reads "self/mountinfo" below PROC_FD (/proc) into LIST, all zero at first. Returns 0; -ENOMEM;
 * -E2BIG where there are more lines, or file systems, than are allowed; or -errno where there
 * is no such list. LIST is for mount_list_done() then, too. */
int mount_list_read(int proc_fd, struct mount_list *list);

/* Puts into SHOWN, with room for COUNT, the line that leads best to each file system: one that
 * nothing hides, and that shows its root, if there is one. */
void mount_list_choose(const struct mount_list *list, size_t *shown);

/* Whether something was mounted later over the mount of LINE, or over a directory on the way
 * to it. */
bool mount_list_is_hidden(const struct mount_list *list, size_t line);

/* The file system that the file PATH lies in, or MOUNT_LIST_NONE. */
size_t mount_list_find_path(const struct mount_list *list, const char *path);

void mount_list_done(struct mount_list *list);

#endif
