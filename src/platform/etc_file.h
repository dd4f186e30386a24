/*
 * etc_file: a file of /etc, such as resolv.conf, replaced whole. Not here: what stands in it.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PLATFORM_ETC_FILE_H
#define PLATFORM_ETC_FILE_H

#include <sys/types.h>

struct etc_file {
	const char *path;     /* absolute */
	const char *run_path; /* of what is bound over it where it can't be written */
	mode_t mode;	      /* that a new one gets */
};

extern const struct etc_file etc_file_resolv_conf;

/* Makes TEXT the contents of FILE below ROOT_FD (an O_PATH descriptor of the root
 * directory is enough). A link is followed within that root, a dangling one gets its target
 * made, parents too, as is /etc itself. The file is replaced by rename(2), so that nobody
 * reads half of it; one that can't be because something is mounted on it, or its directory
 * is read-only, is written in place.
 * Returns 0; -EROFS if the file stands on a read-only file system; -ENOENT if
 * there is none and none can be made on it; or another -errno. */
int etc_file_write_below(int root_fd, const struct etc_file *file, const char *text);

/* The same for this process's root. On -EROFS a file in /run is bound over the
 * one that stands there, and from then on written in place. Returns 0 or -errno
 * as above. */
int etc_file_write(const struct etc_file *file, const char *text);

#endif
