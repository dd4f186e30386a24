/*
 * file_link: LINK of port 53.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SESSION_FILE_LINK_H
#define SESSION_FILE_LINK_H

#include "session/session.h"

/* linkat(2): another name for what was found at a path, in place of whatever has that name but a
 * directory, by a temporary name and rename(2). */
session_serve_fn file_link_serve;

#endif
