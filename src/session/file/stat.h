/*
 * file_stat: STAT and LIST of port 53: looking at files without touching them.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SESSION_FILE_STAT_H
#define SESSION_FILE_STAT_H

#include "session/session.h"

/* One file; a link at the end of the path is not followed. */
session_serve_fn file_stat_serve;

/* What a directory holds, sorted by the bytes of the names. The directory itself
 * may be named by a link. What would not fit into one frame is FILE_ERR
 * EOVERFLOW. */
session_serve_fn file_list_serve;

#endif
