/*
 * file_symlink: SYMLINK of port 53.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SESSION_FILE_SYMLINK_H
#define SESSION_FILE_SYMLINK_H

#include "session/session.h"

/* Makes a symbolic link, in place of anything but a directory (EISDIR) that has its
 * name, at once; missing directories on the way are made, 0755. A link at the end of
 * the path is replaced, not followed. */
session_serve_fn file_symlink_serve;

#endif
