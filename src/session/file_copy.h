/*
 * file_copy: the bytes of one file into another, inside the kernel.
 */
#ifndef SESSION_FILE_COPY_H
#define SESSION_FILE_COPY_H

#include "session/session.h"

/* Copies the regular file FROM_FD, from its start up to the size it has now, to
 * the start of TO_FD, which must be empty. Holes stay holes where the file system
 * tells of them. Stops where SESSION's host goes, or this worker is to stop; NULL:
 * for nothing, as half of a copy would be worse. Returns 0, -EPIPE, -ECANCELED,
 * -EIO if FROM_FD was cut meanwhile, or -errno of sendfile(2). */
int file_copy(struct session *session, int from_fd, int to_fd);

#endif
