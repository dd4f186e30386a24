/*
 * file_read: READ of port 53.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SESSION_FILE_READ_H
#define SESSION_FILE_READ_H

#include "session/session.h"

/* Sends a file, or a part of it, as file_content_send() does, then DONE. Only a regular file or
 * a block device is ever opened. */
session_serve_fn file_read_serve;

#endif
