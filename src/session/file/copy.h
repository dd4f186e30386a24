/*
 * file_copy: the bytes of one file into another, inside the kernel.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SESSION_FILE_COPY_H
#define SESSION_FILE_COPY_H

#include "session/session.h"

/* The next run of data in FD at or after *OFFSET, as [*OFFSET, *RET_END). False if only a
 * hole is left up to SIZE. On a file system without holes all of it is data. Moves FD's
 * position. */
bool file_copy_next_data(int fd, off_t *offset, off_t size, off_t *ret_end);

/* Copies the regular file FROM_FD, from its start up to the size it has now, to the start
 * of TO_FD, which must be empty. Holes stay holes where the file system tells of them.
 * Stops when SESSION's host goes, or when this worker is to stop. Returns 0, -EPIPE,
 * -ECANCELED, -EIO if FROM_FD was cut meanwhile, or -errno of sendfile(2). */
int file_copy(struct session *session, int from_fd, int to_fd);

/* Writes the first SIZE bytes of the regular file FROM_FD over those of TO_FD, holes as
 * zeros; half a file would be worse than none, so it does not stop for anybody. Returns 0,
 * -EIO if FROM_FD was cut meanwhile, or -errno of sendfile(2). */
int file_copy_over(int from_fd, int to_fd, off_t size);

#endif
