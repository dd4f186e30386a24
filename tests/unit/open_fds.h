/*
 * How many descriptors this process has open.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TESTS_UNIT_OPEN_FDS_H
#define TESTS_UNIT_OPEN_FDS_H

#include "platform/dir.h"

/* By /proc/self/fd below PROC_FD; without the one that looks. Returns it or -errno. */
static inline int
open_fds_count(int proc_fd)
{
	DIR CLEANUP_DIR *dir = NULL;
	struct dirent *entry;
	int count = 0;
	int r = dir_open(proc_fd, "self/fd", 0, &dir);

	while (r == 0 && (r = dir_next(dir, &entry)) == 0 && entry != NULL)
		count++;
	return r < 0 ? r : count - 1;
}

#endif
