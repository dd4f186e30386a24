/*
 * file_remove: REMOVE of port 53.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SESSION_FILE_REMOVE_H
#define SESSION_FILE_REMOVE_H

#include "session/session.h"

/* Unlinks a file or a link, or removes an empty directory; with "recursive", a directory
 * and all that it holds. No link is followed on the way, and nothing is entered that
 * something is mounted on (EBUSY). */
session_serve_fn file_remove_serve;

#endif
