/*
 * file_set: SET of port 53.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SESSION_FILE_SET_H
#define SESSION_FILE_SET_H

#include "session/session.h"

/* Changes owner, mode and modification time, in this order, of what stands at the
 * path; a link at its end is not followed, and has no mode (EOPNOTSUPP, and nothing
 * of the request is done). */
session_serve_fn file_set_serve;

#endif
