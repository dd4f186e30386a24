/*
 * file_mkdir: MKDIR of port 53.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SESSION_FILE_MKDIR_H
#define SESSION_FILE_MKDIR_H

#include "session/session.h"

/* Makes a directory with exactly the mode asked for (0: 0755), and the missing ones on the
 * way to it with 0755. A directory that is there already is not an error, and keeps its
 * mode. */
session_serve_fn file_mkdir_serve;

#endif
