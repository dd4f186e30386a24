/*
 * file_move: MOVE of port 53.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SESSION_FILE_MOVE_H
#define SESSION_FILE_MOVE_H

#include "session/session.h"

/* rename(2). To another file system a regular file is copied with mode, owner, times and
 * the attributes of file_keep(), gets its name when it is whole, and is then unlinked where
 * it was; anything else is EXDEV. */
session_serve_fn file_move_serve;

#endif
